"""Packing: a segment becomes smaller, and nothing of it changes; or it stays as it was."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.journal import SegmentSink, SegmentSource
from edgekernel.journal.folder import SIGNATURE, segment_files
from edgekernel.journal.packing import pack
from edgekernel.journal.records import BootRecord, Record
from tests.journal.records import BEGIN_NS, event, records

BOOT = BootRecord(0, BEGIN_NS, "b" * 32, "bench", {}, "p" * 32, "system", None)


def segment(folder: Path, entries: list[Record]) -> Path:
    """Write records, each in a block of its own, to one segment; return it."""
    sink = SegmentSink(folder, durable=False)
    for entry in entries:
        sink.write(entry)
        sink.flush()
    sink.close()
    (path,) = segment_files(folder)
    return path


@given(entries=st.lists(records, min_size=1, max_size=8))
def test_nothing_changes(entries: list[Record], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every record is there after packing, with its number."""
    folder = tmp_path_factory.mktemp("journal")
    path = segment(folder, entries)
    before = list(SegmentSource(folder).entries())
    size = pack(path, durable=False)
    assert list(SegmentSource(folder).entries()) == before
    assert path.stat().st_size == size


def test_much_smaller(folder: Path) -> None:
    """A segment of many small blocks becomes a fraction of itself; packing it again is harmless."""
    path = segment(folder, [event(number) for number in range(2000)])
    before = path.stat().st_size
    size = pack(path, durable=True)
    assert size < before / 8
    assert pack(path, durable=True) == size
    assert path.read_bytes().startswith(SIGNATURE)
    assert [each.name for each in folder.iterdir()] == [path.name]


def test_gap_in_numbers(folder: Path) -> None:
    """Numbers that are missing in a segment are still missing after packing."""
    path = segment(folder, [event(number) for number in range(3)])
    data = path.read_bytes()
    length = (len(data) - len(SIGNATURE)) // 3
    path.write_bytes(data[: len(SIGNATURE) + length] + data[len(data) - length :])
    pack(path, durable=False)
    source = SegmentSource(folder)
    numbers = [entry.number for entry in source.entries() if entry.record.type == "event"]
    assert numbers == [0, 2]
    assert source.unreadable.records == 1


def test_damage_stays_as_it_is(folder: Path) -> None:
    """A segment with damage in it is not touched: what is there may still be of use."""
    path = segment(folder, [event(number) for number in range(100)])
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)
    assert pack(path, durable=False) == len(data)
    assert path.read_bytes() == data


def test_disk_that_is_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A packing that fails leaves the segment as it was, and no other file."""
    path = segment(folder, [event(number) for number in range(100)])
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fdatasync", full)
    with pytest.raises(OSError, match="No space"):
        pack(path, durable=True)
    assert path.read_bytes() == before
    assert [each.name for each in folder.iterdir()] == [path.name]


def test_repetition_stays_a_repetition(folder: Path) -> None:
    """What a segment repeats of an earlier one is still told once."""
    sink = SegmentSink(folder, durable=False, compress=False)
    sink.write(BOOT)
    sink.flush()
    sink._leave_segment()
    sink.write(event(1))
    sink.close()
    for path in segment_files(folder):
        pack(path, durable=False)
    assert list(SegmentSource(folder)) == [BOOT, event(1)]
    segment_files(folder)[0].unlink()
    assert list(SegmentSource(folder)) == [BOOT, event(1)]
