"""SegmentSource: everything that is whole is read, and the rest is counted."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edgekernel.journal import Entry, SegmentSink, SegmentSource
from edgekernel.journal.blocks import HEAD, Block, read_blocks
from edgekernel.journal.folder import SIGNATURE, segment_files
from edgekernel.journal.records import LostRecord, OpaqueRecord
from edgekernel.journal.segment_source import next_number
from edgekernel.journal.text import as_line, from_line
from tests.journal.records import BEGIN_NS, event

SECOND = 1_000_000_000


def write(folder: Path, numbers: range, batch: int = 1) -> None:
    """Write events, so many in a block, in a segment."""
    sink = SegmentSink(folder, durable=False)
    for number in numbers:
        sink.write(event(number))
        if number % batch == batch - 1:
            sink.flush()
    sink.close()


def events(folder: Path) -> list[int]:
    """Return the numbers in the events that can be read."""
    return [entry.number or 0 for entry in SegmentSource(folder).entries() if whole(entry)]


def whole(entry: Entry) -> bool:
    """Say whether an entry is an event that was read."""
    return entry.record.type == "event"


def blocks_of(path: Path) -> list[Block]:
    """Return the blocks of a segment."""
    found = read_blocks(path.read_bytes(), len(SIGNATURE))
    return [each for each in found if isinstance(each, Block)]


@pytest.mark.parametrize("batch", [1, 3])
def test_cut_at_every_byte(folder: Path, batch: int) -> None:
    """Of a journal that is cut after any byte all whole blocks are read, the torn end is counted,
    and the next agent goes on behind it."""
    write(folder, range(6), batch)
    (path,) = segment_files(folder)
    data = path.read_bytes()
    ends = {block.end: block.number + block.count for block in blocks_of(path)}
    for at in range(len(data)):
        path.write_bytes(data[:at])
        count = max((n for end, n in ends.items() if end <= at), default=0)
        source = SegmentSource(folder)
        read = [entry for entry in source.entries() if whole(entry)]
        assert [entry.number for entry in read] == list(range(count))
        is_whole = at in ends or at in (0, len(SIGNATURE))
        assert source.unreadable.places == (0 if is_whole else 1)
        assert next_number(folder) == count


@pytest.mark.parametrize("batch", [1, 3])
def test_every_byte_flipped(folder: Path, batch: int) -> None:
    """Of a journal with any byte flipped every other block is read; what is missing is counted
    in records if something follows it, and always as a place."""
    write(folder, range(9), batch)
    (path,) = segment_files(folder)
    data = path.read_bytes()
    blocks = blocks_of(path)
    for at in range(len(data)):
        hurt = bytearray(data)
        hurt[at] ^= 0x55
        path.write_bytes(hurt)
        lost = [
            n for b in blocks if b.offset <= at < b.end for n in range(b.number, b.number + batch)
        ]
        source = SegmentSource(folder)
        entries = list(source.entries())
        assert [e.number for e in entries if whole(e)] == [n for n in range(9) if n not in lost]
        assert source.unreadable.places == 1
        followed = bool(lost) and lost[-1] < 8
        assert source.unreadable.records == (batch if followed else 0)
        if followed:
            told = [(e.number, e.record.count) for e in entries if isinstance(e.record, LostRecord)]
            assert told == [(lost[0], batch)]


def test_first_block_damaged(folder: Path) -> None:
    """A journal whose first block is damaged begins with the next one."""
    write(folder, range(4))
    (path,) = segment_files(folder)
    data = bytearray(path.read_bytes())
    data[len(SIGNATURE) + HEAD.size] ^= 1
    path.write_bytes(data)
    assert events(folder) == [1, 2, 3]


def test_damage_is_told_in_its_place(folder: Path) -> None:
    """Between the records stands an opaque one that says where bytes cannot be read."""
    write(folder, range(3))
    (path,) = segment_files(folder)
    block = blocks_of(path)[1]
    data = path.read_bytes()
    path.write_bytes(data[: block.offset] + bytes(10) + data[block.end :])
    first, damage, lost, last = (entry.record for entry in SegmentSource(folder).entries())
    assert (first, last) == (event(0), event(2))
    assert isinstance(damage, OpaqueRecord)
    assert damage.reason == (
        f"damage: 10 bytes of 00000001.ekj, from byte {block.offset}, cannot be read"
    )
    assert lost == LostRecord(last.monotonic_ns, last.time_ns, 1, "damaged or removed")


def test_segment_that_is_missing(folder: Path) -> None:
    """When a segment in the middle was removed, its records are counted as lost."""
    for begin in (0, 3, 6):
        write(folder, range(begin, begin + 3))
    segment_files(folder)[1].unlink()
    source = SegmentSource(folder)
    assert [entry.number for entry in source.entries() if whole(entry)] == [0, 1, 2, 6, 7, 8]
    assert source.unreadable.records == 3


def test_from_a_number_on(folder: Path) -> None:
    """Reading from a number on gives what follows, from whichever segment."""
    for begin in range(0, 12, 3):
        write(folder, range(begin, begin + 3), batch=3)
    for number in range(14):
        found = [entry.number for entry in SegmentSource(folder).entries(number=number)]
        assert found == list(range(number, 12))


def test_times(folder: Path) -> None:
    """`since_ns` is included, `until_ns` is not."""
    write(folder, range(10))
    limits = {"since_ns": BEGIN_NS + 3 * SECOND, "until_ns": BEGIN_NS + 6 * SECOND}
    found = [entry.number for entry in SegmentSource(folder).entries(**limits)]
    assert found == [3, 4, 5]


def test_only_the_segments_that_are_needed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long journal only those segments are read in which the wanted times can be."""
    for begin in range(0, 30, 3):
        write(folder, range(begin, begin + 3), batch=3)
    read: list[str] = []
    whole_file = Path.read_bytes

    def reading(path: Path) -> bytes:
        read.append(path.stem)
        return whole_file(path)

    monkeypatch.setattr(Path, "read_bytes", reading)
    source = SegmentSource(folder)
    limits = {"since_ns": BEGIN_NS + 13 * SECOND, "until_ns": BEGIN_NS + 17 * SECOND}
    assert [entry.number for entry in source.entries(**limits)] == [13, 14, 15, 16]
    assert source.unreadable.records == 0
    assert read == ["00000005", "00000006"]
    assert source.last_ns() == BEGIN_NS + 29 * SECOND
    assert read[2:] == ["00000010"]


def test_last_time(folder: Path) -> None:
    """The last time is that of the last record that can be read; a torn end does not count."""
    folder.mkdir()
    assert SegmentSource(folder).last_ns() is None
    write(folder, range(3))
    write(folder, range(3, 4))
    path = segment_files(folder)[-1]
    path.write_bytes(path.read_bytes()[:-1])
    assert SegmentSource(folder).last_ns() == BEGIN_NS + 2 * SECOND


def test_other_files_are_no_segments(folder: Path) -> None:
    """Files that are no segments are left alone."""
    write(folder, range(2))
    (folder / "notes.txt").write_text("mine")
    (folder / "x.ekj").write_text("mine")
    assert events(folder) == [0, 1]


def test_while_it_is_written(folder: Path) -> None:
    """A reader beside the agent sees what was flushed."""
    sink = SegmentSink(folder)
    for number in range(5):
        sink.write(event(number))
        sink.flush()
        assert events(folder) == list(range(number + 1))
    sink.close()


def test_nothing_is_imported(folder: Path) -> None:
    """Whatever names stand in a journal, reading it loads no module (defect F5)."""
    sink = SegmentSink(folder)
    record = replace(event(0, __class__="antigravity:fly"), name="antigravity:fly", source="this")
    sink.write(record)
    sink.write(OpaqueRecord(0, 0, "antigravity", 1, "this", b"this"))
    sink.close()
    before = set(sys.modules)
    first, _ = (from_line(as_line(each)) for each in SegmentSource(folder))
    assert first == record
    assert set(sys.modules) == before
