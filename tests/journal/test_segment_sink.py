"""SegmentSink: what was flushed is there, within its limits, also after failures."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.core.errors import BusyError
from edgekernel.journal import Limits, SegmentSink, SegmentSource
from edgekernel.journal.folder import SIGNATURE, UNFINISHED, segment_files
from edgekernel.journal.records import BootRecord, ConfigRecord, EventRecord, OpaqueRecord, Record
from tests.journal.records import BEGIN_NS, event, records

SMALL = Limits(max_bytes=1_000_000, max_segments=16)
BOOT = BootRecord(0, BEGIN_NS, "b" * 32, "bench", {"edgekernel": "1"}, "p" * 32, "system", None)
CONFIG = ConfigRecord(0, BEGIN_NS, "c" * 32, {"node": {"name": "bench"}})


def numbered(folder: Path) -> list[int]:
    """Return the numbers in the events of a journal."""
    found = [each for each in SegmentSource(folder) if isinstance(each, EventRecord)]
    return [int(each.payload["number"]) for each in found]


def fill(sink: SegmentSink, numbers: Iterable[int], size: int = 1000) -> None:
    """Write events of about `size` bytes, each in a block of its own."""
    for number in numbers:
        sink.write(event(number, number=number, filling=os.urandom(size)))
        sink.flush()


@given(batches=st.lists(st.lists(records, max_size=4), max_size=4))
def test_round_trip(batches: list[list[Record]], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Records come back in order, numbered from 0, however they were flushed."""
    folder = tmp_path_factory.mktemp("journal")
    sink = SegmentSink(folder, durable=False)
    for batch in batches:
        for record in batch:
            sink.write(record)
        sink.flush()
    sink.close()
    source = SegmentSource(folder)
    entries = list(source.entries())
    written = [record for batch in batches for record in batch]
    assert [entry.record for entry in entries] == written
    assert [entry.number for entry in entries] == list(range(len(written)))
    opaque = sum(isinstance(record, OpaqueRecord) for record in written)
    assert (source.unreadable.places, source.unreadable.records) == (0, opaque)


def test_nothing_before_the_flush(folder: Path) -> None:
    """A few records are written with the next flush, in one block, and not one by one."""
    sink = SegmentSink(folder)
    sink.write(event(1))
    assert list(SegmentSource(folder)) == []
    sink.flush()
    assert list(SegmentSource(folder)) == [event(1)]
    sink.close()


def test_many_are_written_early(folder: Path) -> None:
    """Many records do not wait in memory for the flush."""
    sink = SegmentSink(folder)
    for number in range(100):
        sink.write(event(number, number=number, filling=os.urandom(1000)))
    assert len(list(SegmentSource(folder))) > 50
    sink.close()
    assert numbered(folder) == list(range(100))


def test_many_long_texts(folder: Path) -> None:
    """Records with long texts, each another one, are all there: no block becomes too large."""
    sink = SegmentSink(folder, durable=False)
    for number in range(300):
        sink.write(event(number, number=number, text=f"{number} ".ljust(10_000, "x")))
    sink.close()
    assert numbered(folder) == list(range(300))


def test_each_sink_begins_a_segment(folder: Path) -> None:
    """A sink continues the numbers in a segment of its own and changes none that is there."""
    contents: list[dict[str, bytes]] = []
    for begin in (0, 3):
        sink = SegmentSink(folder)
        fill(sink, range(begin, begin + 3))
        sink.close()
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert list(contents[1]) > list(contents[0])
    assert contents[1] | contents[0] == contents[1]
    assert [entry.number for entry in SegmentSource(folder).entries()] == list(range(6))
    assert all(path.read_bytes().startswith(SIGNATURE) for path in folder.iterdir())


def test_nothing_to_say_makes_no_file(folder: Path) -> None:
    """A sink to which nothing is written leaves no segment."""
    sink = SegmentSink(folder)
    sink.flush()
    sink.close()
    sink.close()
    assert list(folder.iterdir()) == []


def test_total_size(folder: Path) -> None:
    """The journal stays below its size: the oldest segments go, and are counted."""
    sink = SegmentSink(folder, SMALL, durable=False)
    fill(sink, range(3000))
    assert sum(path.stat().st_size for path in folder.iterdir()) == sink.size
    assert sink.size <= SMALL.max_bytes + SMALL.segment_bytes
    dropped = sink.dropped
    sink.close()
    assert dropped.segments > 20
    assert dropped.size > 1_500_000
    kept = numbered(folder)
    assert kept == list(range(kept[0], 3000))


def test_number_of_segments(folder: Path) -> None:
    """There are at most so many segments, however small they are."""
    for number in range(12):
        sink = SegmentSink(folder, Limits(max_segments=5), durable=False)
        fill(sink, [number])
        sink.close()
    assert numbered(folder) == list(range(7, 12))


def test_age(folder: Path) -> None:
    """A segment goes when its last record is too old by the clock that was given."""

    def begin(hour: int) -> SegmentSink:
        now_ns = BEGIN_NS + hour * 3600 * 1_000_000_000
        limits = Limits(max_age_s=7200)
        return SegmentSink(folder, limits, now_ns=lambda: now_ns, durable=False)

    for hour in range(6):
        sink = begin(hour)
        sink.write(event(hour * 3600, number=hour))
        sink.close()
    assert numbered(folder) == [2, 3, 4, 5]


def test_begin_is_repeated(folder: Path) -> None:
    """When the segments with boot and configuration have gone, both are still there, once."""
    sink = SegmentSink(folder, SMALL, durable=False)
    sink.write(BOOT)
    sink.write(CONFIG)
    fill(sink, range(100))
    assert [each for each in SegmentSource(folder) if each.type != "event"] == [BOOT, CONFIG]
    fill(sink, range(100, 2000))
    sink.close()
    entries = list(SegmentSource(folder).entries())
    assert [entry.record for entry in entries[:2]] == [BOOT, CONFIG]
    assert [entry.number for entry in entries[:2]] == [None, None]
    assert [each.record for each in entries if each.record.type != "event"] == [BOOT, CONFIG]


def test_full_segments_are_packed(folder: Path) -> None:
    """With compression full segments become much smaller, and nothing of them is lost."""
    sizes = {}
    for compress in (True, False):
        where = folder / str(compress)
        limits = Limits(max_bytes=4_000_000)
        sink = SegmentSink(where, limits, durable=False, compress=compress)
        for number in range(20_000):
            sink.write(event(number))
            if number % 10 == 0:
                sink.flush()
        sink.close()
        assert numbered(where) == list(range(20_000))
        sizes[compress] = sum(path.stat().st_size for path in where.iterdir())
    assert sizes[True] < sizes[False] / 2


def test_one_writer(folder: Path) -> None:
    """A second agent is refused the folder, until the first one closes; a reader is not."""
    first = SegmentSink(folder)
    with pytest.raises(BusyError, match="another agent"):
        SegmentSink(folder)
    first.close()
    SegmentSink(folder).close()


def test_torn_packing_is_cleared_away(folder: Path) -> None:
    """What is left of a packing that was cut off goes with the next start."""
    folder.mkdir()
    (folder / f"00000001{UNFINISHED}").write_bytes(b"half")
    SegmentSink(folder).close()
    assert list(folder.iterdir()) == []


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, name: str, good: int, code: int) -> Iterator[None]:
    """Let a function of the system fail after some good calls; a write writes half before."""
    real = getattr(os, name)
    calls = 0

    def fails(descriptor: int, *args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls <= good:
            return real(descriptor, *args)
        if name == "write" and len(args[0]) > 1 and calls == good + 1:
            return real(descriptor, args[0][: len(args[0]) // 2])
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, name, fails)
        yield


@pytest.mark.parametrize("good", range(6))
@pytest.mark.parametrize(
    ("name", "code"),
    [("write", errno.ENOSPC), ("fdatasync", errno.EIO), ("open", errno.ENOSPC)],
)
def test_disk_that_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, good: int, code: int
) -> None:
    """When the disk fails at any call, flush says so and keeps what it has; when the disk works
    again, everything is there, once, in order."""
    sink = SegmentSink(folder)
    sink.write(BOOT)
    refused = number = 0
    with failing(monkeypatch, name, good, code):
        for number in range(8):
            refused += attempt(partial(sink.write, event(number)), code)
            refused += 0 if refused else attempt(sink.flush, code)
            if refused:
                break
        taken = number + 1
        while name != "open" and refused < 4:
            refused += attempt(sink.flush, code) or pytest.fail("it works again")
    fill(sink, range(taken, 10), size=10)
    sink.close()
    source = SegmentSource(folder)
    assert [entry.number for entry in source.entries()] == list(range(11))
    assert numbered(folder) == list(range(10))
    assert source.unreadable.records == 0


def attempt(step: Callable[[], object], code: int) -> int:
    """Do something; return 1 if the disk has refused it with this error."""
    try:
        step()
    except OSError as error:
        if error.errno != code:
            raise
        return 1
    return 0


def test_full_disk_leaves_no_empty_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing can be written, no files pile up, and a record that is refused is not kept."""
    sink = SegmentSink(folder)
    with failing(monkeypatch, "write", 0, errno.ENOSPC):
        sink.write(event(0))
        for _ in range(5):
            with pytest.raises(OSError, match="No space"):
                sink.flush()
            with pytest.raises(OSError, match="No space"):
                sink.write(event(99))
        assert len(segment_files(folder)) <= 1
    sink.close()
    assert numbered(folder) == [0]


def test_folder_that_cannot_be_used(tmp_path: Path) -> None:
    """A folder that cannot be made is an OSError."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        SegmentSink(tmp_path / "file" / "journal")


@pytest.mark.parametrize("wrong", [{"max_bytes": 10}, {"max_segments": 1}, {"max_age_s": 0.0}])
def test_limits_that_mean_nothing(wrong: dict[str, Any]) -> None:
    """Limits below what a journal needs are refused."""
    with pytest.raises(ValueError, match="Limits"):
        Limits(**wrong)
