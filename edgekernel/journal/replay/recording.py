"""Recording: one run of an agent as its journal has it, ready to be played."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from edgekernel.backends.recording import LineEdge, Transaction
from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.errors import EdgekernelError
from edgekernel.hal.gpio import Edge
from edgekernel.journal.records import (
    BootRecord,
    BusRecord,
    ConfigRecord,
    EdgeRecord,
    EventRecord,
    LostRecord,
    OpaqueRecord,
    Record,
)
from edgekernel.journal.repetition import BOOTED

STOPPING, STOPPED = "runtime.shutting_down", "runtime.shutdown"


class RecordingError(EdgekernelError):
    """A journal cannot be replayed, and why."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A span, in monotonic nanoseconds, of which the journal lacks something."""

    begin_ns: int
    end_ns: int
    count: int
    reason: str


@dataclass(slots=True)
class Recording:
    """The records of one run in order, what is missing of it, and what it began with."""

    boot: BootRecord
    records: list[Record] = field(default_factory=list)
    config: ConfigRecord | None = None
    whole: bool = True
    """Whether it has its beginning; else that has gone, as the oldest goes from a full journal."""
    holes: list[Hole] = field(default_factory=list)
    damaged: int = 0
    """How many entries could not be understood."""

    @property
    def end_ns(self) -> int:
        """The monotonic time of the last record."""
        return self.records[-1].monotonic_ns if self.records else self.boot.monotonic_ns

    @property
    def last_wall_ns(self) -> int:
        """The wall time of the last record."""
        return self.records[-1].time_ns if self.records else self.boot.time_ns

    def lies_in(self, begin_ns: int | None, end_ns: int | None) -> bool:
        """Say whether some of it was recorded between two wall times; None is no limit."""
        times = [self.boot.time_ns, *(each.time_ns for each in self.records)]
        early_enough = begin_ns is None or begin_ns <= max(times)
        return early_enough and (end_ns is None or end_ns >= min(times))

    @property
    def has_bus(self) -> bool:
        """Whether anything was recorded of its boundaries."""
        return any(isinstance(each, BusRecord) for each in self.records)

    @property
    def booted_ns(self) -> int:
        """The monotonic time at which the boot had ended; that of its begin if it never did."""
        booted = self.event(BOOTED)
        return self.boot.monotonic_ns if booted is None else booted.monotonic_ns

    def event(self, name: str) -> EventRecord | None:
        """Return the first event of a name."""
        return next((each for each in self.events() if each.name == name), None)

    def events(self) -> Iterator[EventRecord]:
        """Return the events."""
        return (each for each in self.records if isinstance(each, EventRecord))

    def transactions(self) -> Iterator[Transaction]:
        """Return the calls at the boundaries, for the tape."""
        return (_transaction(each) for each in self.records if isinstance(each, BusRecord))

    def edges(self) -> Iterator[LineEdge]:
        """Return the edges that were told to drivers, at the times at which they were."""
        for each in self.records:
            if isinstance(each, EdgeRecord):
                edge = Edge(each.level, each.monotonic_ns - each.late_ns)
                yield LineEdge(each.monotonic_ns, each.time_ns, each.line, edge)

    def wall_ns(self, monotonic_ns: int) -> int:
        """Return the wall time at a monotonic time, by the record before it."""
        offset_ns = self.boot.time_ns - self.boot.monotonic_ns
        for each in self.records:
            if each.monotonic_ns > monotonic_ns:
                break
            offset_ns = each.time_ns - each.monotonic_ns
        return monotonic_ns + offset_ns

    def monotonic_at(self, time_ns: int) -> int:
        """Return the monotonic time of the first record from a wall time on; else the end."""
        found = (each.monotonic_ns for each in self.records if each.time_ns >= time_ns)
        return next(found, self.end_ns)

    def notes(self) -> list[str]:
        """Say what is missing, one sentence each."""
        notes = []
        if not self.whole:
            notes.append(
                "the beginning of this run has gone from the journal: the application begins anew "
                "at the oldest record, and knows nothing from before"
            )
        for hole in self.holes:
            seconds = (hole.end_ns - hole.begin_ns) / NANOSECONDS
            notes.append(
                f"{hole.count or 'some'} records are missing in {seconds:.3f} s before "
                f"{hole.end_ns / NANOSECONDS:.3f} s: {hole.reason}"
            )
        if self.damaged:
            notes.append(f"{self.damaged} entries cannot be understood and are passed over")
        return notes


def recordings(records: Iterable[Record]) -> list[Recording]:
    """Return the runs of a journal, the oldest first; what stands before any boot is left out."""
    runs: list[Recording] = []
    for record in records:
        if isinstance(record, BootRecord):
            runs.append(Recording(record))
        elif runs:
            _take(runs[-1], record)
    return [_finished(run) for run in runs]


def choose(runs: list[Recording], time_ns: int | None = None) -> Recording:
    """Return the run that goes on at a wall time, or the latest. Raises RecordingError."""
    if not runs:
        raise RecordingError("there is no boot of an agent in it: nothing to begin with")
    if time_ns is None:
        return runs[-1]
    return next((run for run in reversed(runs) if run.boot.time_ns <= time_ns), runs[0])


def _take(run: Recording, record: Record) -> None:
    if isinstance(record, ConfigRecord):
        run.config = record
    elif isinstance(record, OpaqueRecord):
        run.damaged += 1
    elif isinstance(record, LostRecord):
        before = run.end_ns
        run.holes.append(Hole(before, record.monotonic_ns, record.count, record.reason))
    else:
        run.records.append(record)


def _finished(run: Recording) -> Recording:
    """Find out whether a run has its beginning: its first event then is the begin of a boot."""
    first = next(run.events(), None)
    run.whole = first is None or first.name == "runtime.booting"
    return run


def _transaction(record: BusRecord) -> Transaction:
    args, options = list(record.args), {}
    if args and isinstance(args[-1], dict):
        options = args.pop()
    return Transaction(
        record.monotonic_ns, record.time_ns, record.kind, record.name, record.op, tuple(args),
        options, record.result, record.error, record.text, record.took_ns,
    )  # fmt: skip
