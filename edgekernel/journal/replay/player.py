"""Replay: an application on what a journal has recorded, and what it does otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from edgekernel.backends.replay import ReplayBackend, Tape, Unrecorded
from edgekernel.backends.replay.tape import shown
from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.errors import BootError
from edgekernel.core.runtime import Runtime
from edgekernel.hal.address import BusAddress
from edgekernel.journal.origin import UPTIME
from edgekernel.journal.part import Journal
from edgekernel.journal.records import EventRecord, Record
from edgekernel.journal.repetition import BOOTED
from edgekernel.journal.replay.acts import Act, acts_of
from edgekernel.journal.replay.compare import Difference, Span, differences
from edgekernel.journal.replay.cut import begun_anew
from edgekernel.journal.replay.feed import Feed, Unfed
from edgekernel.journal.replay.recording import STOPPED, STOPPING, Recording
from edgekernel.node.assemble import assemble
from edgekernel.node.plan import Plan
from edgekernel.sim.clock import SimClock

TOLERANCE_S = 0.5
"""How far apart in time two acts may be that are the same: an agent on a busy board is late."""
_ROOM, _COMMIT_S = 1 << 30, 3600.0  # they are kept in memory: nothing is to be made safe
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PARTS = 200

Progress = Callable[[float], object]
Advance = Callable[[SimClock, float], object]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a recording is played and what of it is compared."""

    rate: float | None = None
    """Recorded seconds in a real one; None: as many as can be computed."""
    tolerance_s: float = TOLERANCE_S
    from_ns: int | None = None
    """The monotonic time from which on it is compared; it is played from its beginning."""
    to_ns: int | None = None
    """The monotonic time at which it ends."""


@dataclass(slots=True)
class Replayed:
    """What came of a replay."""

    recording: Recording
    records: list[Record]
    """What the application has done now, as a journal records it."""
    differences: list[Difference] = field(default_factory=list)
    agree: int = 0
    """How many acts are as they were."""
    repeated: int = 0
    """How often an answer was given once more, because it was asked for more often than then."""
    notes: list[str] = field(default_factory=list)
    """What keeps the replay from being complete."""

    def events(self) -> Iterator[EventRecord]:
        """Return the messages that were emitted now."""
        return (each for each in self.records if isinstance(each, EventRecord))


class _Kept:
    """A JournalSink that keeps what it is given."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, record: Record) -> None:
        """Keep it."""
        self.records.append(record)

    def flush(self) -> None:
        """Do nothing: it is safe already."""

    def close(self) -> None:
        """Do nothing."""


def replay(
    recording: Recording,
    plan: Plan,
    wanted: Wanted | None = None,
    progress: Progress = lambda share: None,
    advance: Advance = SimClock.advance,
) -> Replayed:
    """Play a recording to the application of a plan, and compare what it does.

    `progress` is told from time to time which share of it has been played, and `advance` lets so
    many seconds pass on a clock in between. Raises ConfigError if the application cannot be made.
    """
    wanted = wanted or Wanted()
    recording = begun_anew(recording)
    end_ns = recording.end_ns if wanted.to_ns is None else min(wanted.to_ns, recording.end_ns)
    player = _Player(recording, plan, wanted, end_ns)
    player.play(progress, advance)
    return player.result()


class _Player:
    """One replay."""

    def __init__(self, recording: Recording, plan: Plan, wanted: Wanted, end_ns: int) -> None:
        self._recording = recording
        self._plan = plan
        self._wanted = wanted
        self._end_ns = end_ns
        self._tolerance_ns = round(wanted.tolerance_s * NANOSECONDS)
        self._kept = _Kept()
        self._unrecorded: list[Unrecorded] = []
        self._unfed: list[Unfed] = []
        self._repeated = 0
        self._failure: BootError | None = None

    def play(self, progress: Progress, advance: Advance) -> None:
        """Play it, on a clock of its own."""
        recording, plan = self._recording, self._plan
        with clock_of(recording, self._wanted.rate) as clock:
            tape = Tape(
                recording.transactions(), clock,
                window_ns=self._tolerance_ns, booted_ns=recording.booted_ns,
            )  # fmt: skip
            backend = ReplayBackend(tape, recording.edges())
            feed = Feed(recording, clock, backend)
            with Journal(self._kept, clock, commit_s=_COMMIT_S, room=_ROOM) as journal:
                runtime = assemble(plan, journal.around(backend), clock, Runtime)
                journal.record(runtime, plan)
                feed.start(runtime)
                self._boot(runtime)
                if self._failure is None:
                    self._run(runtime, tape, progress, partial(advance, clock))
            runtime.shutdown("the replay has ended")
        self._unrecorded, self._unfed = tape.unrecorded, feed.unfed

    def _boot(self, runtime: Runtime) -> None:
        """Boot, or find out why that is not possible."""
        try:
            runtime.boot()
        except BootError as error:
            self._failure = error
            if self._recording.event(BOOTED) is not None:  # what came then is not to be compared
                self._end_ns = min(self._end_ns, runtime.clock.monotonic_ns())

    def _run(
        self, runtime: Runtime, tape: Tape, progress: Progress, advance: Callable[[float], object]
    ) -> None:
        """Let the recorded time pass, and stop as it was stopped then."""
        stopping = self._recording.event(STOPPING)
        if stopping is not None and stopping.monotonic_ns > self._end_ns:
            stopping = None
        begun_ns = tape.clock.monotonic_ns()
        until_ns = (stopping.monotonic_ns if stopping else self._end_ns) - 1
        step_ns = max(NANOSECONDS // 10, (until_ns - begun_ns) // _PARTS)
        while (left_ns := until_ns - tape.clock.monotonic_ns()) > 0:
            advance(min(left_ns, step_ns) / NANOSECONDS)
            progress((tape.clock.monotonic_ns() - begun_ns) / (until_ns - begun_ns))
        self._repeated = tape.repeated
        # What is due at the moment of a shutdown has its turn before it; what is late, before
        # the end of what is compared.
        advance(2 / NANOSECONDS if stopping else self._wanted.tolerance_s)
        if stopping:
            runtime.shutdown(str(stopping.payload.get("reason", "")))

    def result(self) -> Replayed:
        """Return what came of it."""
        devices = users(self._plan)
        begin_ns, end_ns, tolerance_ns = self._wanted.from_ns or 0, self._end_ns, self._tolerance_ns
        then = _acts(self._recording.records, devices, begin_ns, end_ns)
        around = begin_ns - tolerance_ns, end_ns + tolerance_ns
        now = _acts(self._kept.records, devices, *around)
        found, agree = differences(then, now, tolerance_ns, self._blind())
        found += self._others(devices)
        found.sort(key=lambda each: (each.monotonic_ns, each.stream))
        notes = [*self._recording.notes(), *(each.what for each in self._unfed)]
        return Replayed(self._recording, self._kept.records, found, agree, self._repeated, notes)

    def _blind(self) -> Iterator[Span]:
        """Return the spans in which the record does not have everything that was done."""
        for hole in self._recording.holes:
            yield hole.begin_ns, hole.end_ns
        if not self._recording.whole:
            yield self._recording.boot.monotonic_ns, self._recording.booted_ns
        stopping = self._recording.event(STOPPING)
        if stopping is not None and self._recording.event(STOPPED) is not None:
            yield stopping.monotonic_ns, stopping.monotonic_ns
        if stopping is None or stopping.monotonic_ns > self._end_ns:
            yield self._end_ns, self._end_ns + self._tolerance_ns
        if self._wanted.from_ns is not None:
            yield 0, self._wanted.from_ns

    def _others(self, devices: Mapping[str, str]) -> Iterator[Difference]:
        """Return what was asked and never recorded, each once, and why there was no boot."""
        seen = set()
        for each in self._unrecorded:
            place = _where(each, devices)
            asked = f"{each.op}({', '.join(map(shown, each.args))})"
            if (place, asked) in seen or each.monotonic_ns > self._end_ns + self._tolerance_ns:
                continue
            seen.add((place, asked))
            now = f"{asked}: never recorded, so there is no answer"
            yield Difference(each.monotonic_ns, each.time_ns, place, "", now)
        if self._failure is not None and self._recording.event(BOOTED) is not None:
            boot = self._recording.boot
            why = "; ".join(_leaves(self._failure))
            yield Difference(boot.monotonic_ns, boot.time_ns, "boot", "booted", f"failed: {why}")


def _acts(
    records: list[Record], devices: Mapping[str, str], begin_ns: int, end_ns: int
) -> list[Act]:
    return [act for act in acts_of(records, devices) if begin_ns <= act.monotonic_ns <= end_ns]


def clock_of(recording: Recording, rate: float | None) -> SimClock:
    """Return a simulated clock that begins when the recording does, by both times."""
    boot = recording.boot
    uptime_s = boot.versions.get(UPTIME)
    micros, rest_ns = divmod(boot.time_ns, 1000)
    clock = SimClock(
        _EPOCH + timedelta(microseconds=micros),
        monotonic_ns=boot.monotonic_ns,
        uptime_s=uptime_s if isinstance(uptime_s, float) else 0.0,
        seed=boot.seed,
        rate=rate,
    )
    clock.step_wall(rest_ns / NANOSECONDS)
    return clock


def users(plan: Plan) -> dict[str, str]:
    """Return who uses each boundary: by line or port, and by bus and address."""
    found: dict[str, str] = {}
    for device in plan.devices:
        for place in device.addresses.values():
            name = place.name
            if isinstance(place, BusAddress) and "address" in device.settings:
                name = f"{name} 0x{device.settings['address']:02x}"
            found[name] = device.id
    return found


def _where(asked: Unrecorded, devices: Mapping[str, str]) -> str:
    name = asked.name
    if asked.kind == "i2c" and asked.args and isinstance(asked.args[0], int):
        name = f"{name} 0x{asked.args[0]:02x}"
    return f"{devices[name]} ({name})" if name in devices else name


def _leaves(error: BaseException) -> Iterator[str]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield ": ".join([*getattr(error, "__notes__", ()), str(error)])
