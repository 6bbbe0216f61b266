"""What a node remembers of its configurations outlives a crash at any moment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.backends.disk import SystemDisk
from edgekernel.node.config_record import (
    Judged,
    Kept,
    Record,
    RecordFile,
    decode,
    encode,
)

GOOD = Kept({"node": {"name": "n1"}}, "h1", "file", at="2026-01-01T00:00:00+00:00")
OLD = Record(GOOD, "d1")
NEW = Record(
    replace(GOOD, hash="h2", source="remote", version="7"),
    "d2",
    Judged("d3", "rolled_back", problems=("it is cold", "and dark")),
    Judged("d4", "trying", "8"),
    {"node": {"name": "n1"}},
)


class CrashedError(BaseException):
    """The agent was killed."""


class Dying(SystemDisk):
    """A disk whose user is killed just before its n-th call."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __getattribute__(self, name: str) -> Any:
        if name in ("make_folder", "create", "replace", "sync_folder"):
            self.left -= 1
            if self.left < 0:
                raise CrashedError
        return super().__getattribute__(name)


def test_it_comes_back(tmp_path: Path) -> None:
    """What was written is read, to the last field."""
    file = RecordFile(tmp_path / "data")
    assert file.read() == Record()
    file.write(NEW)
    assert RecordFile(tmp_path / "data").read() == NEW


def test_a_crash_between_any_two_operations(tmp_path: Path) -> None:
    """After a kill at any moment of a write it is the old record or the new one, never neither."""
    seen = set()
    for calls in range(7):
        folder = tmp_path / str(calls)
        RecordFile(folder).write(OLD)
        try:
            RecordFile(folder, Dying(calls)).write(NEW)
        except CrashedError:
            seen.add("killed")
        found = RecordFile(folder).read()
        assert found in (OLD, NEW)
        seen.add("old" if found == OLD else "new")
        RecordFile(folder).write(NEW)
        assert RecordFile(folder).read() == NEW
    assert seen == {"killed", "old", "new"}


def test_a_torn_file(tmp_path: Path) -> None:
    """A file that is cut off anywhere is found to be damaged: the one before is used, and told."""
    file = RecordFile(tmp_path)
    file.write(OLD)
    file.write(NEW)
    newest = tmp_path / "config.json"
    whole = newest.read_bytes()
    for size in range(0, len(whole) - 1, 7):
        newest.write_bytes(whole[:size])
        found = file.read()
        assert found == OLD
        assert "is damaged" in found.problem
    file.write(NEW)
    newest.write_bytes(b"")
    assert file.read() == OLD  # the damaged one has not taken its place


@given(st.integers(0, len(encode(NEW)) - 2), st.integers(1, 255))
def test_a_flipped_byte_is_found(at: int, flip: int) -> None:
    """A byte that has changed is noticed, unless it says the same."""
    data = bytearray(encode(NEW))
    data[at] ^= flip
    try:
        found = decode(bytes(data))
    except ValueError:
        return
    assert found == NEW


@given(st.binary(max_size=200))
def test_any_content(data: bytes) -> None:
    """Whatever stands in the file is read or refused, and nothing else."""
    with pytest.raises(ValueError, match="damaged"):
        decode(data)


def test_the_order_is_kept(tmp_path: Path) -> None:
    """Devices come back in the order of the node file."""
    devices = {"z": {"driver": "led", "pin": "GPIO5"}, "a": {"driver": "led", "pin": "GPIO6"}}
    file = RecordFile(tmp_path)
    file.write(Record(replace(GOOD, document={"devices": devices})))
    found = file.read().good
    assert found is not None
    assert list(found.document["devices"]) == ["z", "a"]
    assert list(found.document["devices"]["z"]) == ["driver", "pin"]
