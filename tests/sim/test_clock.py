"""Simulated time: exact, repeatable, and with the manners of Python's own threads."""

from __future__ import annotations

import queue
import threading
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Clock, Event, Message, Runtime, Service
from edgekernel.core.clock import LockLike, QueueLike, ThreadLike
from edgekernel.sim import SimClock, SimulationError


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


def go(clock: Clock, name: str, target: Callable[..., object], *args: Any) -> ThreadLike:
    """Start a thread of the clock."""
    thread = clock.Thread(partial(target, *args), name)
    thread.start()
    return thread


def elsewhere(function: Callable[[], object]) -> BaseException | None:
    """Call a function in a second OS thread; return what it raised."""
    raised: list[BaseException] = []

    def call() -> None:
        try:
            function()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return raised[0] if raised else None


def test_time_passes_only_by_waiting(clock: SimClock) -> None:
    """Time stands still while code runs, moves by what is waited, and both times move together."""
    assert (clock.monotonic(), clock.monotonic_ns(), clock.uptime()) == (0.0, 0, 0.0)
    assert clock.now_utc() == datetime(2026, 1, 1, tzinfo=UTC)
    clock.advance(0.25)
    assert (clock.monotonic(), clock.monotonic_ns(), clock.uptime()) == (0.25, 250_000_000, 0.25)
    assert clock.now_utc() == datetime(2026, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)
    assert clock.time_ns() == 1_767_225_600_250_000_000


def test_begins_where_asked() -> None:
    """The wall time begins at `start` to the microsecond, in whatever time zone it was given."""
    start = datetime(2026, 7, 1, 12, 0, 0, 123_457, tzinfo=timezone(timedelta(hours=2)))
    with SimClock(start) as clock:
        assert clock.now_utc() == start
        assert clock.now_utc().tzinfo is UTC


def test_refuses_a_naive_start() -> None:
    """A start without a time zone would mean another moment on every machine."""
    with pytest.raises(ValueError, match="has no time zone"):
        SimClock(datetime(2026, 1, 1))  # noqa: DTZ001  # the mistake under test


def test_order_is_by_deadline_then_by_order_of_waiting(clock: SimClock) -> None:
    """Who is due first runs first; of several due at once, who began to wait first."""
    order: list[tuple[str, float]] = []

    def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            clock.sleep(nap)
            order.append((name, clock.monotonic()))

    go(clock, "a", sleeper, "a", 3, 1)
    go(clock, "b", sleeper, "b", 1, 3)
    go(clock, "c", sleeper, "c", 2, 2)
    clock.advance(10)
    assert order == [("b", 1), ("c", 2), ("a", 3), ("b", 4), ("c", 4), ("a", 4)]


def test_sums_do_not_drift(clock: SimClock) -> None:
    """A hundred thousand sleeps of a tenth of a second are ten thousand seconds, exactly."""
    for _ in range(100_000):
        clock.sleep(0.1)
    assert clock.monotonic_ns() == 10_000 * 10**9


def test_waiting_for_less_than_nothing(clock: SimClock) -> None:
    """Time never goes back, whatever is asked for."""
    clock.advance(10)
    event, condition = clock.Event(), clock.Condition()
    assert clock.sleep(-1) is False
    assert clock.sleep(-1, event) is False
    assert event.wait(-1) is False
    assert clock.run_until(lambda: False, -1) is False
    with condition:
        assert condition.wait(-1) is False
    with pytest.raises(queue.Empty):
        clock.Queue().get(timeout=-1)
    clock.advance(-1)
    assert clock.monotonic() == 10


def test_run_until_stops_at_the_moment(clock: SimClock) -> None:
    """`run_until` ends at the very moment at which it is so, before anything later happens."""
    ticks: list[float] = []

    def tick() -> None:
        while True:
            clock.sleep(1)
            ticks.append(clock.monotonic())

    go(clock, "ticks", tick)
    assert clock.run_until(lambda: len(ticks) == 5, 60) is True
    assert (clock.monotonic(), len(ticks)) == (5, 5)
    assert clock.run_until(lambda: True, 60) is True
    assert clock.monotonic() == 5


def test_run_until_has_a_limit(clock: SimClock) -> None:
    """`run_until` gives up after its limit, also when nothing at all happens."""
    assert clock.run_until(lambda: False, 7.5) is False
    assert clock.monotonic() == 7.5
    go(clock, "late", clock.sleep, 100)
    assert clock.run_until(lambda: False, 2.5) is False
    assert clock.monotonic() == 10


def test_sleep_ends_when_cancelled(clock: SimClock) -> None:
    """A sleep that can be cancelled says whether it was, and ends at that moment."""
    cancel = clock.Event()
    woke: list[tuple[bool, float]] = []
    go(clock, "short", lambda: woke.append((clock.sleep(1, cancel), clock.monotonic())))
    go(clock, "long", lambda: woke.append((clock.sleep(60, cancel), clock.monotonic())))
    clock.advance(5)
    cancel.set()
    clock.advance(100)
    assert woke == [(False, 1), (True, 5)]
    assert clock.sleep(3, cancel) is True
    assert clock.monotonic() == 105


def test_event_lets_all_go_on(clock: SimClock) -> None:
    """An event lets everybody go on who waits, in order; who comes later does not wait."""
    event = clock.Event()
    order: list[str] = []

    def waiter(name: str) -> None:
        assert event.wait() is True
        order.append(name)

    for name in "abc":
        go(clock, name, waiter, name)
    clock.advance(1)
    assert (order, event.is_set()) == ([], False)
    event.set()
    assert event.wait() is True
    clock.advance(0)
    assert order == ["a", "b", "c"]
    event.clear()
    assert event.is_set() is False
    assert event.wait(2) is False
    assert clock.monotonic() == 3


def test_event_that_is_set_for_a_moment(clock: SimClock) -> None:
    """Who waited when the event was set was notified, even if it is cleared before he runs."""
    event = clock.Event()
    waited: list[bool] = []
    go(clock, "waiter", lambda: waited.append(event.wait(5)))
    clock.advance(1)
    event.set()
    event.clear()
    clock.advance(0)
    assert waited == [True]


def test_lock_is_first_come_first_served(clock: SimClock) -> None:
    """A lock goes to who has waited longest, and nobody gets in between."""
    lock = clock.Lock()
    order: list[tuple[str, float]] = []

    def worker(name: str, begin: float) -> None:
        clock.sleep(begin)
        with lock:
            order.append((name, clock.monotonic()))
            clock.sleep(10)

    for name, begin in (("third", 0.3), ("first", 0.1), ("second", 0.2)):
        go(clock, name, worker, name, begin)
    clock.advance(100)
    assert order == [("first", 0.1), ("second", 10.1), ("third", 20.1)]


def test_lock_with_a_time_limit(clock: SimClock) -> None:
    """Who gives up waiting for a lock does not have it, and is passed over when it is free."""
    lock = clock.Lock()
    got: list[tuple[str, bool, float]] = []

    def attempt(name: str, timeout: float) -> None:
        got.append((name, lock.acquire(timeout=timeout), clock.monotonic()))

    assert lock.acquire() is True
    assert lock.acquire(blocking=False) is False
    go(clock, "hasty", attempt, "hasty", 1)
    go(clock, "patient", attempt, "patient", -1)
    clock.advance(5)
    lock.release()
    clock.advance(0)
    assert got == [("hasty", False, 1), ("patient", True, 5)]
    assert lock.acquire(blocking=False) is False
    lock.release()
    assert lock.acquire(blocking=False) is True


def test_release_of_a_free_lock(clock: SimClock) -> None:
    """Releasing what nobody holds is a mistake, as with `threading.Lock`."""
    with pytest.raises(RuntimeError, match="not held"):
        clock.Lock().release()


def test_condition_notifies_in_order(clock: SimClock) -> None:
    """`notify(n)` lets the n who have waited longest go on, each with the lock; the rest wait."""
    condition = clock.Condition()
    order: list[str] = []

    def waiter(name: str) -> None:
        with condition:
            condition.wait()
            order.append(name)

    for name in "abcd":
        go(clock, name, waiter, name)
    clock.advance(1)
    with condition:
        condition.notify(2)
        assert order == []
    clock.advance(1)
    assert order == ["a", "b"]
    with condition:
        condition.notify_all()
    clock.advance(1)
    assert order == ["a", "b", "c", "d"]


def test_condition_with_a_time_limit(clock: SimClock) -> None:
    """A wait that ends by time says so and has the lock again; a later notify is not for it."""
    condition = clock.Condition()
    with condition:
        assert condition.wait(2) is False
        assert clock.monotonic() == 2
        condition.notify()
    seen: list[bool] = []

    def waiter() -> None:
        with condition:
            seen.append(condition.wait(10))

    go(clock, "waiter", waiter)
    clock.advance(1)
    assert seen == []
    with condition:
        condition.notify()
    clock.advance(0)
    assert seen == [True]


def test_condition_needs_its_lock(clock: SimClock) -> None:
    """Waiting and notifying without the lock is a mistake, as with `threading.Condition`."""
    condition = clock.Condition()
    for call in (condition.wait, condition.notify, condition.notify_all):
        with pytest.raises(RuntimeError, match="not held"):
            call()


def test_queue_hands_over(clock: SimClock) -> None:
    """Getters wait for items and putters for room, and the order of the items is kept."""
    handed: QueueLike = clock.Queue(2)
    got: list[tuple[int, float]] = []
    put: list[float] = []

    def produce() -> None:
        for item in range(4):
            handed.put(item)
            put.append(clock.monotonic())

    def consume() -> None:
        for _ in range(4):
            clock.sleep(1)
            got.append((handed.get(), clock.monotonic()))

    go(clock, "produce", produce)
    go(clock, "consume", consume)
    clock.advance(10)
    assert put == [0, 0, 1, 2]
    assert got == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert handed.qsize() == 0


@pytest.mark.parametrize("timeout", [0.1, 0.2, 0.3, 1 / 3, 0.7, 1e-9])
def test_queue_gives_up_in_time(clock: SimClock, timeout: float) -> None:
    """A get or put with a time limit ends exactly then, whatever the floats make of the sum."""
    for _ in range(10):
        clock.advance(0.1)
        begin_ns = clock.monotonic_ns()
        with pytest.raises(queue.Empty):
            clock.Queue().get(timeout=timeout)
        full = clock.Queue(1)
        full.put(1)
        with pytest.raises(queue.Full):
            full.put(2, timeout=timeout)
        assert clock.monotonic_ns() - begin_ns == 2 * round(timeout * 1e9)
        assert full.get() == 1


def test_queue_without_waiting(clock: SimClock) -> None:
    """`block=False` raises at once where it would have to wait."""
    full = clock.Queue(1)
    with pytest.raises(queue.Empty):
        full.get(block=False)
    full.put("one", block=False)
    with pytest.raises(queue.Full):
        full.put("two", block=False)
    assert (full.qsize(), full.get(block=False)) == (1, "one")


def test_thread_lives_and_ends(clock: SimClock) -> None:
    """A thread is alive from its start to its end; a join waits for that, with a limit."""
    thread = clock.Thread(lambda: clock.sleep(5), "sleeper")
    assert (thread.name, thread.is_alive()) == ("sleeper", False)
    thread.start()
    assert thread.is_alive()
    thread.join(2)
    assert (thread.is_alive(), clock.monotonic()) == (True, 2)
    thread.join()
    assert (thread.is_alive(), clock.monotonic()) == (False, 5)
    thread.join()
    assert clock.monotonic() == 5


def test_thread_is_used_as_a_thread(clock: SimClock) -> None:
    """Starting twice and joining before the start are mistakes, as with `threading.Thread`."""
    thread = clock.Thread(lambda: None, "once")
    with pytest.raises(RuntimeError, match="once: join of a thread that was not started"):
        thread.join()
    thread.start()
    with pytest.raises(RuntimeError, match="once: a thread can be started once only"):
        thread.start()
    clock.advance(0)


def test_flow_tells_the_threads_apart(clock: SimClock) -> None:
    """`flow` is the same throughout one thread and another one in each."""
    flows: list[object] = []

    def note() -> None:
        flows.append(clock.flow())
        clock.sleep(1)
        flows.append(clock.flow())

    go(clock, "a", note)
    go(clock, "b", note)
    clock.advance(5)
    a, b, a_later, b_later = flows
    assert a is a_later
    assert b is b_later
    assert len({id(a), id(b), id(clock.flow())}) == 3


def test_deadlock_names_who_waits_for_what(clock: SimClock) -> None:
    """When everybody waits for ever, the main flow is told who waits for what."""
    lock, event = clock.Lock(), clock.Event()
    lock.acquire()
    go(clock, "pump", lock.acquire)
    go(clock, "valve", clock.Queue().get)
    idle = go(clock, "idle", event.wait)
    with pytest.raises(SimulationError) as caught:
        idle.join()
    assert str(caught.value).splitlines() == [
        "everybody waits and no deadline will come:",
        "  main: join of idle",
        "  pump: lock",
        "  valve: queue",
        "  idle: event",
    ]
    clock.advance(1)  # the report ends nothing: with a deadline time passes again
    assert clock.monotonic() == 1


@pytest.mark.parametrize(
    ("what", "use"),
    [
        ("sleep", lambda clock: clock.sleep(1)),
        ("sleep", lambda clock: clock.advance(1)),
        ("run_until", lambda clock: clock.run_until(lambda: False, 1)),
        ("event", lambda clock: clock.Event().wait()),
        ("queue", lambda clock: clock.Queue().get()),
        ("start of x", lambda clock: clock.Thread(print, "x").start()),
        ("close", lambda clock: clock.close()),
    ],
    ids=["sleep", "advance", "run_until", "event", "queue", "thread", "close"],
)
def test_second_thread_is_refused(
    clock: SimClock, what: str, use: Callable[[SimClock], object]
) -> None:
    """A second OS thread cannot wait on a simulated clock, and is told how to do it right."""
    error = elsewhere(lambda: use(clock))
    assert isinstance(error, SimulationError)
    assert str(error) == (
        f"{what}: a second thread uses a simulated clock. Start threads with clock.Thread(...), "
        "not with threading.Thread(...)."
    )
    clock.advance(1)
    assert clock.monotonic() == 1


def test_error_in_a_thread_surfaces(clock: SimClock) -> None:
    """What a thread raises is raised in the main flow, at the time it happened."""

    def fail() -> None:
        clock.sleep(2)
        raise LookupError("no such row")

    thread = go(clock, "fails", fail)
    other = go(clock, "other", clock.sleep, 5)
    with pytest.raises(LookupError, match="no such row"):
        clock.advance(10)
    assert (clock.monotonic(), thread.is_alive(), other.is_alive()) == (2, False, True)
    clock.advance(10)
    assert (clock.monotonic(), other.is_alive()) == (12, False)


def test_close_ends_who_waits() -> None:
    """`close` ends every thread wherever it waits, and their `finally` blocks run, in order."""
    ended: list[str] = []
    clock = SimClock()
    lock, condition, event = clock.Lock(), clock.Condition(), clock.Event()
    lock.acquire()

    def until_closed(name: str, wait: Callable[[], object]) -> None:
        try:
            wait()
        finally:
            ended.append(name)

    def on_condition() -> None:
        with condition:
            condition.wait()

    def holding_condition() -> None:
        clock.sleep(0.5)
        with condition:
            event.wait()

    waits: dict[str, Callable[[], object]] = {
        "sleep": lambda: clock.sleep(100),
        "event": event.wait,
        "lock": lock.acquire,
        "queue": clock.Queue().get,
        "condition": on_condition,
        "holder": holding_condition,
    }
    threads = [go(clock, name, until_closed, name, wait) for name, wait in waits.items()]
    clock.advance(1)
    threads.append(go(clock, "new", until_closed, "new", lambda: None))
    clock.close()
    assert ended == list(waits)
    assert not any(thread.is_alive() for thread in threads)
    assert clock.monotonic() == 1
    clock.close()


def test_nothing_waits_on_a_closed_clock() -> None:
    """On a closed clock nobody waits: not who made it, nor the `finally` block of a thread."""
    ended: list[str] = []
    clock = SimClock()

    def lingering() -> None:
        try:
            clock.sleep(100)
        finally:
            ended.append("begun")
            clock.sleep(1)
            ended.append("waited")

    thread = go(clock, "lingering", lingering)
    clock.advance(1)
    clock.close()
    assert (ended, thread.is_alive(), clock.monotonic()) == (["begun"], False, 1)
    with pytest.raises(SimulationError, match="sleep: this simulated clock is closed"):
        clock.advance(1)


def test_errors_while_closing_hold_nothing_up() -> None:
    """What a `finally` block raises comes out of `close`, after everybody has ended."""
    ended: list[int] = []
    clock = SimClock()

    def worker(number: int) -> None:
        try:
            clock.sleep(100)
        finally:
            ended.append(number)
            if number == 0:
                raise OSError("cannot save")

    for number in range(3):
        go(clock, f"worker {number}", worker, number)
    clock.advance(1)
    with pytest.raises(OSError, match="cannot save"):
        clock.close()
    assert ended == [0, 1, 2]


def test_thread_cannot_close_its_own_clock(clock: SimClock) -> None:
    """Only who made the clock can close it; a thread on it is told so."""
    go(clock, "inside", clock.close)
    with pytest.raises(SimulationError, match="a fiber cannot end its own clock"):
        clock.advance(1)


def test_waiting_does_not_pile_up(clock: SimClock) -> None:
    """An event that is waited for a hundred thousand times with a limit stays as small."""
    event = clock.Event()

    def poll() -> None:
        while not event.wait(1):
            pass

    go(clock, "poll", poll)
    clock.advance(100)
    tracemalloc.start()
    try:
        clock.advance(100_000)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 100_000


# A program of threads that put, get and sleep, run on the clock and by a plain model of it.

Step = tuple[str, int]
Done = list[tuple[int, int, str, object, int]]

_STEPS = st.one_of(
    st.tuples(st.just("sleep"), st.integers(0, 30)),
    st.tuples(st.just("put"), st.integers(0, 30)),
    st.tuples(st.just("get"), st.integers(0, 30)),
)
_LOCK_STEPS = st.tuples(st.sampled_from(["acquire", "sleep"]), st.integers(0, 30))


def _queue_program(programs: list[list[Step]], size: int) -> Done:
    """Run the programs on a SimClock; the number of a step is its time or time limit."""
    done: Done = []
    with SimClock() as clock:
        shared = clock.Queue(size)

        def run(who: int, steps: list[Step]) -> None:
            for index, (what, number) in enumerate(steps):
                result: object = None
                try:
                    if what == "sleep":
                        clock.sleep(number)
                    elif what == "put":
                        shared.put((who, index), timeout=number)
                        result = "put"
                    else:
                        result = shared.get(timeout=number)
                except (queue.Full, queue.Empty) as error:
                    result = type(error).__name__
                done.append((who, index, what, result, round(clock.monotonic())))

        for who, steps in enumerate(programs):
            go(clock, f"p{who}", run, who, steps)
        clock.advance(10_000)
    return done


@given(st.lists(st.lists(_STEPS, max_size=8), min_size=1, max_size=5), st.integers(0, 2))
def test_queue_against_a_model(programs: list[list[Step]], size: int) -> None:
    """For every program of puts, gets and sleeps: nothing is lost, doubled or reordered, a wait
    fails at its limit and only if it could not be served before, and every run is the same."""
    done = _queue_program(programs, size)
    assert done == _queue_program(programs, size)
    assert len(done) == sum(map(len, programs))
    begun: dict[int, int] = dict.fromkeys(range(len(programs)), 0)
    waiting: deque[object] = deque()
    for who, index, what, result, at in done:
        number = programs[who][index][1]
        assert begun[who] <= at <= begun[who] + number
        if what == "sleep" or result in ("Full", "Empty"):
            assert at == begun[who] + number
        if result == "put":
            waiting.append((who, index))
            assert size == 0 or len(waiting) <= size
        elif what == "get" and result != "Empty":
            assert waiting.popleft() == result
        elif result == "Empty":
            assert not waiting
        elif result == "Full":
            assert len(waiting) == size > 0
        begun[who] = at


@given(st.lists(st.lists(_LOCK_STEPS, max_size=6), min_size=1, max_size=5))
def test_lock_against_a_model(programs: list[list[Step]]) -> None:
    """For every program of sleeps and of locks held or waited for: one holds it at a time, in
    the order of coming, and who did not get it has waited his full limit."""
    held: list[int] = []
    served: list[tuple[int, int]] = []
    came: list[tuple[int, int]] = []
    with SimClock() as clock:
        lock: LockLike = clock.Lock()

        def run(who: int, steps: list[Step]) -> None:
            for index, (what, number) in enumerate(steps):
                if what == "sleep":
                    clock.sleep(number)
                    continue
                begin = clock.monotonic()
                came.append((who, index))
                if lock.acquire(timeout=number):
                    assert held == []
                    held.append(who)
                    served.append((who, index))
                    clock.sleep(number)
                    assert held.pop() == who
                    lock.release()
                else:
                    assert clock.monotonic() - begin == number
                    came.remove((who, index))

        for who, steps in enumerate(programs):
            go(clock, f"p{who}", run, who, steps)
        clock.advance(10_000)
        assert served == came
        assert lock.acquire(blocking=False)


class Ticked(Message):
    """A service has ticked."""

    service: str
    number: int


class Ticker(Service):
    """Says every tick."""

    def __init__(self, name: str, interval: float) -> None:
        self.name = name
        self.interval = interval
        self.count = 0

    def tick(self, ctx: Any) -> None:
        """Say it."""
        self.count += 1
        ctx.emit(Ticked(self.name, self.count))


def _hour() -> tuple[dict[str, int], list[str]]:
    """Run ten services for a simulated hour; return their ticks and the event log."""
    log: list[str] = []

    def note(event: Event) -> None:
        log.append(f"{event.seq} {event.time_ns} {event.source} {event.cause} {event.payload}")

    services = [Ticker(f"every-{i}", 0.5 + 0.25 * i) for i in range(10)]
    with SimClock() as clock:
        runtime = Runtime(clock=clock)
        runtime.subscribe(Message, note)
        for service in services:
            runtime.register(service)
        with runtime:
            clock.advance(3600)
            counts = {service.name: service.count for service in services}
            assert all(s["missed"] == 0 for s in runtime.status()["services"].values())
    return counts, log


def test_ten_services_for_an_hour() -> None:
    """Ten services tick exactly as often as an hour holds their intervals, and a second run has
    the same events, at the same times, in the same order."""
    counts, log = _hour()
    # The tick that is due with the end of the hour comes after it: `advance` began to wait first.
    assert counts == {f"every-{i}": ceil(3600 / (0.5 + 0.25 * i)) for i in range(10)}
    assert sum("Ticked" in line for line in log) == sum(counts.values())
    assert _hour() == (counts, log)
