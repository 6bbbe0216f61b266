"""A document as TOML reads back as the same."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.node.toml_text import to_toml

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
_LEAVES = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | _TEXTS
    | st.dates()
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=10,
)
_NAMES = st.sampled_from(["node", "devices", "mqtt"]) | _TEXTS


@given(st.dictionaries(_NAMES, _VALUES, max_size=4))
def test_it_reads_back(document: dict[str, Any]) -> None:
    """Whatever a node file can hold is read as it was written."""
    assert tomllib.loads(to_toml(document)) == document


def test_it_reads_well() -> None:
    """Each device has a head of its own, what is in it stands below, deeper tables are inline."""
    document = {
        "node": {"name": "n1", "labels": {"zone": "north"}},
        "devices": {"fan": {"driver": "relay", "outputs": {"power": {"max_on": 60.0}}}},
    }
    assert to_toml(document) == (
        '[node]\nname = "n1"\nlabels = { zone = "north" }\n\n'
        '[devices.fan]\ndriver = "relay"\noutputs = { power = { max_on = 60.0 } }\n'
    )


def test_what_toml_does_not_have() -> None:
    """None is left out, and what no file can say is refused."""
    assert to_toml({"node": {"a": None, "b": 1}}) == "[node]\nb = 1\n"
    with pytest.raises(ValueError, match="TOML has no set"):
        to_toml({"node": {"a": {1}}})
