"""Records in a text: all of them, small, and of letters that need no care."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel.journal.replay import RecordingError
from edgekernel.journal.replay.embed import embed, unembed
from tests.journal.replay.recorded import recorded


def test_there_and_back(journal: Path) -> None:
    """Records come back as they were, of a text without quotes and backslashes."""
    records = recorded(journal).records
    text = embed(records)
    assert unembed(text) == records
    assert not set(text) & set("\"'\\")
    assert max(map(len, text.splitlines())) == 96
    assert len(text) < 20 * len(records)
    assert unembed(embed([])) == []


def test_many_records(journal: Path) -> None:
    """More records than fit into a block come back as well."""
    records = recorded(journal).records * 100
    assert unembed(embed(records)) == records


def test_damage(journal: Path) -> None:
    """A text that was changed is refused as a whole."""
    text = embed(recorded(journal).records)
    for spoilt in (text[:-40], "x" + text[1:], "\N{BULLET}", ""):
        with pytest.raises(RecordingError, match="the records in this text cannot be read"):
            unembed(spoilt)
