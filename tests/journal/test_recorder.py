"""Recorder: nobody waits for it, nothing is lost unseen, and it never gives up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from edgekernel import Event, Message, Severity, SystemClock
from edgekernel.journal.messages import JournalDropped, JournalFailed, JournalRecovered
from edgekernel.journal.recorder import Recorder
from edgekernel.journal.records import ClockRecord, EventRecord, LostRecord, OpaqueRecord, Record
from edgekernel.sim import SimClock
from tests.journal.records import event


class MemorySink:
    """A sink that keeps what is safe in a list, and fails when it is told to."""

    def __init__(self) -> None:
        self.taken: list[Record] = []
        self.safe: list[Record] = []
        self.flushes = 0
        self.fails = ""
        self.closed = False

    def write(self, record: Record) -> None:
        """Take a record."""
        if self.fails:
            raise OSError(28, self.fails)
        self.taken.append(record)

    def flush(self) -> None:
        """Make it safe."""
        if self.fails:
            raise OSError(28, self.fails)
        self.flushes += 1
        self.safe = self.taken.copy()

    def close(self) -> None:
        """Flush."""
        self.flush()
        self.closed = True

    def of(self, kind: type[Record]) -> list[Record]:
        """Return the records of a type that are safe."""
        return [record for record in self.safe if isinstance(record, kind)]


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def sink() -> MemorySink:
    """A sink in memory."""
    return MemorySink()


def telling(told: list[Message]) -> Callable[[Message], bool]:
    """Return what keeps in a list what is told."""

    def tell(message: Message) -> bool:
        told.append(message)
        return True

    return tell


class Bang(Message):
    """Something bad."""

    severity = Severity.ERROR


def bang(clock: SimClock) -> Event:
    """Return an event of something bad, now."""
    return Event(1, clock.time_ns(), clock.monotonic(), "test", Bang(), None)


def test_commits_at_its_interval(clock: SimClock, sink: MemorySink) -> None:
    """What is recorded is safe after the interval at the latest, with one flush per interval."""
    recorder = Recorder(sink, clock, commit_s=10.0)
    recorder.start()
    clock.advance(5)
    flushes = sink.flushes
    for number in range(100):
        recorder.put(event(number))
        clock.advance(1)
        assert number < 11 or event(number - 11) in sink.safe
    assert sink.flushes - flushes <= 11
    assert recorder.close()
    assert sink.of(EventRecord) == [event(number) for number in range(100)]
    assert sink.closed


def test_error_is_committed_soon(clock: SimClock, sink: MemorySink) -> None:
    """An event of severity ERROR is safe within a second, and many do not make many commits."""
    recorder = Recorder(sink, clock, commit_s=3600.0)
    recorder.start()
    clock.advance(5)
    flushes = sink.flushes
    for _ in range(50):
        recorder.put(bang(clock))
        clock.advance(0.1)
    clock.advance(1)
    assert len(sink.of(EventRecord)) == 50
    assert sink.flushes - flushes <= 6
    recorder.close()


def test_full_queue(clock: SimClock, sink: MemorySink) -> None:
    """When more waits than there is room for the oldest are dropped; how many, stands in their
    place and is told."""
    told: list[Message] = []
    recorder = Recorder(sink, clock, room=10)
    recorder.tell = telling(told)
    for number in range(25):
        recorder.put(event(number))
    assert recorder.waiting == 10
    recorder.start()
    clock.advance(1)
    lost, *kept = [record for record in sink.safe if not isinstance(record, ClockRecord)]
    assert isinstance(lost, LostRecord)
    assert lost.count == 15
    assert kept == [event(number) for number in range(15, 25)]
    assert told == [JournalDropped(15)]
    assert (recorder.dropped, recorder.written) == (15, 12)
    recorder.close()


def test_a_queue_that_stays_full(clock: SimClock, sink: MemorySink) -> None:
    """Records that are dropped every two seconds for an hour are told of six times, not at every
    commit; in the journal each gap has its number."""
    told: list[Message] = []
    recorder = Recorder(sink, clock, commit_s=1.0, room=10)
    recorder.tell = telling(told)
    recorder.start()
    for _ in range(1800):
        for number in range(25):
            recorder.put(event(number))
        clock.advance(2)
    recorder.close()
    assert [type(each) for each in told] == [JournalDropped] * 6
    gaps = [record.count for record in sink.safe if isinstance(record, LostRecord)]
    assert sum(gaps) == recorder.dropped == 1800 * 15


def test_half_full_queue_is_written(clock: SimClock, sink: MemorySink) -> None:
    """A queue that fills up is written before its interval is over: nothing is dropped."""
    recorder = Recorder(sink, clock, commit_s=3600.0, room=100)
    recorder.start()
    clock.advance(2)
    for number in range(500):
        recorder.put(event(number))
        clock.advance(0.1)
    recorder.close()
    assert sink.of(EventRecord) == [event(number) for number in range(500)]


def test_disk_that_fails(clock: SimClock, sink: MemorySink) -> None:
    """A sink that fails is told once, tried again, and told when it works; then everything that
    there is room for is written."""
    told: list[Message] = []
    recorder = Recorder(sink, clock, commit_s=1.0, room=5)
    recorder.tell = telling(told)
    recorder.start()
    sink.fails = "No space left on device"
    for number in range(8):
        recorder.put(event(number))
        clock.advance(2)
    assert told == [JournalFailed("No space left on device")]
    assert recorder.problem == "No space left on device"
    sink.fails = ""
    clock.advance(3)
    assert recorder.problem == ""
    assert told[1:] == [JournalDropped(2), JournalRecovered()]
    kept = [record.seq for record in sink.safe if isinstance(record, EventRecord)]
    assert kept == [0, 3, 4, 5, 6, 7]
    recorder.close()


def test_problem_that_could_not_be_told(clock: SimClock, sink: MemorySink) -> None:
    """A failure that nobody could be told of, before the boot, is told later."""
    told: list[Message] = []
    ready = False

    def tell(message: Message) -> bool:
        if ready:
            told.append(message)
        return ready

    recorder = Recorder(sink, clock, commit_s=1.0)
    recorder.tell = tell
    sink.fails = "gone"
    recorder.start()
    clock.advance(5)
    ready = True
    clock.advance(5)
    assert told == [JournalFailed("gone")]
    recorder.close()
    assert recorder.problem == "gone"


def test_what_cannot_be_recorded(clock: SimClock, sink: MemorySink) -> None:
    """An event whose content cannot be had leaves an opaque record, and the next is written."""

    class Hollow(Message):
        """A message without its field."""

        value: int

    hollow = Event(1, clock.time_ns(), 0.0, "test", Hollow.__new__(Hollow), None)
    recorder = Recorder(sink, clock)
    recorder.put(hollow)
    recorder.put(event(2))
    assert recorder.close()
    (opaque,) = sink.of(OpaqueRecord)
    assert isinstance(opaque, OpaqueRecord)
    assert "AttributeError" in opaque.reason
    assert sink.of(EventRecord) == [event(2)]


def test_steps_of_the_wall_time(clock: SimClock, sink: MemorySink) -> None:
    """A step of the wall time stands before the first record after it."""
    recorder = Recorder(sink, clock)
    for step_s in (0, 3600):
        clock.step_wall(step_s)
        recorder.put(bang(clock))
    recorder.close()
    kinds = [record.type for record in sink.safe]
    assert kinds == ["event", "clock", "event", "clock"]
    assert [record.step_ns for record in sink.safe if isinstance(record, ClockRecord)] == [
        3_600_000_000_000, 0,
    ]  # fmt: skip


def test_threads(sink: MemorySink) -> None:
    """From many threads at once everything is recorded, in the order of each."""
    recorder = Recorder(sink, SystemClock(), commit_s=0.1)
    recorder.start()

    def put(begin: int) -> None:
        for number in range(begin, begin + 2000):
            recorder.put(event(number))

    threads = [threading.Thread(target=put, args=[begin * 10_000]) for begin in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.close()
    seqs = [record.seq for record in sink.safe if isinstance(record, EventRecord)]
    assert len(seqs) == 8000
    for begin in range(4):
        own = [seq for seq in seqs if seq // 10_000 == begin]
        assert own == list(range(begin * 10_000, begin * 10_000 + 2000))
