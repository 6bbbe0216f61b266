"""A part of a recording that can be played by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edgekernel.core.clock import NANOSECONDS
from edgekernel.journal.origin import UPTIME
from edgekernel.journal.plain import arguments
from edgekernel.journal.records import (
    BootRecord,
    CommandRecord,
    EdgeRecord,
    EventRecord,
    LostRecord,
    Record,
)
from edgekernel.journal.repetition import BOOTED
from edgekernel.journal.replay.feed import inputs
from edgekernel.journal.replay.recording import Recording, recordings

_MINUTE_NS = 60 * NANOSECONDS


def cut(recording: Recording, from_ns: int | None, to_ns: int) -> list[Record]:
    """Return the records up to a monotonic time, the boot first; with `from_ns` from there on.

    Then the boot stands whole minutes later than it was, so that what is done every so often is
    done at its times; and at `from_ns` stands what was asked from outside in between, and the
    levels that lines had come to. What else the application had come to know is not there.
    """
    if from_ns is None or from_ns <= recording.booted_ns:
        return list(_until(recording, to_ns))
    later_ns = (from_ns - recording.booted_ns) // _MINUTE_NS * _MINUTE_NS
    now = from_ns, recording.wall_ns(from_ns)
    wall_ns = later_ns + now[1] - from_ns - recording.boot.time_ns + recording.boot.monotonic_ns
    boot = (_moved(each, later_ns, wall_ns) for each in _boot(recording))
    between = (
        replace(each, monotonic_ns=now[0], time_ns=now[1]) for each in _carried(recording, from_ns)
    )
    rest = (each for each in recording.records if from_ns <= each.monotonic_ns <= to_ns)
    lost = LostRecord(*now, 0, "they are left out")
    return [_later(recording.boot, later_ns, wall_ns), *boot, lost, *between, *rest]


def begun_anew(recording: Recording) -> Recording:
    """Return a recording without its beginning as one that boots at its oldest record."""
    count = len(_boot(recording))
    later = recording.records[count:]
    if recording.whole or not later:
        return recording
    begin_ns = later[0].monotonic_ns
    (made,) = recordings(cut(recording, begin_ns, recording.end_ns))
    holes = [hole for hole in recording.holes if hole.begin_ns >= begin_ns]
    return replace(
        made,
        config=recording.config,
        whole=False,
        holes=[*made.holes, *holes],
        damaged=recording.damaged,
    )


def _until(recording: Recording, to_ns: int) -> Iterator[Record]:
    yield recording.boot
    yield from (each for each in recording.records if each.monotonic_ns <= to_ns)


def _boot(recording: Recording) -> list[Record]:
    """Return the records up to the end of the boot; none if that is not among them."""
    for index, each in enumerate(recording.records):
        if isinstance(each, EventRecord) and each.name == BOOTED:
            return recording.records[: index + 1]
    return []


def _carried(recording: Recording, from_ns: int) -> Iterator[Record]:
    """Return what came from outside between the boot and a time, and still counts then."""
    booted_ns = recording.booted_ns
    between = [r for r in recording.records if booted_ns < r.monotonic_ns < from_ns]
    edges = {each.line: each for each in between if isinstance(each, EdgeRecord)}
    yield from edges.values()
    yield from (each for each in inputs(between) if isinstance(each, CommandRecord))


def _later(boot: BootRecord, later_ns: int, wall_ns: int) -> Record:
    """Return a boot that is later, of an agent that has run for longer."""
    uptime_s = boot.versions.get(UPTIME, 0.0) + later_ns / NANOSECONDS
    return _moved(replace(boot, versions=boot.versions | {UPTIME: uptime_s}), later_ns, wall_ns)


def _moved(record: Record, later_ns: int, wall_ns: int) -> Record:
    return replace(
        record, monotonic_ns=record.monotonic_ns + later_ns, time_ns=record.time_ns + wall_ns
    )


def masked(record: Record) -> Record:
    """Return a record without its traceback, and with what sounds secret hidden once more.

    A journal may come from elsewhere.
    """
    match record:
        case EventRecord():
            return masked_event(record)
        case CommandRecord():
            args = arguments(record.args)[0]
            return replace(record, args=args, whole=record.whole and args == record.args)
    return record


def masked_event(event: EventRecord) -> EventRecord:
    """Return an event without its traceback and secrets; see `masked`."""
    kept = {name: value for name, value in event.payload.items() if name != "traceback"}
    return replace(event, payload=arguments(kept)[0])
