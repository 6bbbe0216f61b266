"""TOML: what is written is read again as it was."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.journal.replay.toml import as_toml

_TEXT = st.text(st.characters(codec="utf-8"))
_PLAIN = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | _TEXT
_DATA = st.recursive(
    _PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(_TEXT, _DATA, max_size=4))
def test_there_and_back(document: dict[str, Any]) -> None:
    """Any plain data comes back as it was."""
    assert tomllib.loads(as_toml(document)) == document


def test_a_node_file() -> None:
    """A node file reads as people write one; what is None is left out."""
    document = {
        "node": {"name": "shed-1", "data": None},
        "devices": {"fan": {"pin": "GPIO17", "filters": [{"median": 5}]}},
    }
    assert as_toml(document) == (
        '[node]\nname = "shed-1"\n\n[devices.fan]\npin = "GPIO17"\nfilters = [{ median = 5 }]\n'
    )


def test_no_form() -> None:
    """What TOML has no form for is refused."""
    with pytest.raises(ValueError, match="a bytes has no form in TOML"):
        as_toml({"a": b"1"})
