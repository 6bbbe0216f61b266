"""Repetition: what a segment needs of those before it."""

from __future__ import annotations

from pathlib import Path

from edgekernel.journal import Limits, SegmentSink, SegmentSource
from edgekernel.journal.folder import segment_files
from edgekernel.journal.records import (
    BootRecord,
    BusRecord,
    ClockRecord,
    ConfigRecord,
    EventRecord,
    Record,
)
from edgekernel.journal.repetition import MOST, Repetition


def boot(id: str) -> BootRecord:
    """Return a boot."""
    return BootRecord(0, 0, id, "node", {}, "", "simulated", None)


def read(number: int) -> BusRecord:
    """Return a read."""
    return BusRecord(number, number, "i2c", "i2c1", "read", [0x76, number], b"", None, "", 0)


def event(name: str) -> EventRecord:
    """Return an event."""
    return EventRecord(5, 5, 1, "node", None, None, name, 20, {})


def repeated(*records: Record) -> tuple[Record, ...]:
    """Return what is repeated after records."""
    made = Repetition()
    for record in records:
        made.see(record)
    return made.records


def test_a_boot() -> None:
    """Boot, configuration and clock are repeated, and the answers until it had booted, with its
    end; of messages and later answers none are."""
    config, clock = ConfigRecord(0, 0, "", {}), ClockRecord(9, 9, "stepped", 1)
    booted = event("runtime.booted")
    first = ClockRecord(1, 1, "synchronised", 0)
    records = (boot("a"), config, first, read(1), event("x"), read(2), booted, read(3), clock)
    assert repeated(*records) == (boot("a"), config, clock, read(1), read(2), booted)


def test_another_boot() -> None:
    """Another boot takes the place of the one before."""
    records = repeated(boot("a"), read(1), event("runtime.booted"), boot("b"), read(2))
    assert records == (boot("b"), read(2))
    assert repeated(read(1), event("runtime.booted")) == ()


def test_a_long_boot() -> None:
    """There is a limit to it."""
    reads = [read(number) for number in range(MOST + 10)]
    assert len(repeated(boot("a"), *reads)) == 1 + MOST


def test_in_a_journal(tmp_path: Path) -> None:
    """When the segments of the boot have gone, the journal still has what it answered."""
    sink = SegmentSink(tmp_path, Limits(1_000_000, max_segments=2), durable=False)
    for record in (boot("a"), read(1), event("runtime.booted")):
        sink.write(record)
    sink.flush()
    for number in range(60_000):
        sink.write(read(number))
    sink.close()
    assert segment_files(tmp_path)[0].name != "00000001.ekj"
    entries = list(SegmentSource(tmp_path).entries())
    assert [e.record for e in entries if e.number is None] == [
        boot("a"), read(1), event("runtime.booted"),
    ]  # fmt: skip
