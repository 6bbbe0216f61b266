"""Simulated time: exact, repeatable, and ended in good order."""

from __future__ import annotations

import asyncio
import math
import queue
import re
import threading
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from edgekernel import Context, Effect, Message, Process, Runtime, Service, Signal, command
from edgekernel.sim import SimClock, SimulationError
from tests.sim.conftest import go


class Called(Message):
    """Somebody has called."""


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


def test_begins_at_other_times() -> None:
    """The monotonic time and the uptime begin where asked, and the wall time goes with them."""
    start = datetime(2026, 11, 28, tzinfo=UTC)
    with SimClock(start, monotonic_ns=90 * 10**9, uptime_s=4.5) as clock:
        assert (clock.monotonic(), clock.uptime(), clock.now_utc()) == (90.0, 4.5, start)
        clock.advance(2)
        assert (clock.monotonic(), clock.uptime()) == (92.0, 6.5)
        assert clock.now_utc() == start + timedelta(seconds=2)


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

    def pump() -> None:
        lock.acquire()

    go(clock, "pump", pump)
    go(clock, "valve", clock.Queue().get)
    idle = go(clock, "idle", event.wait)
    with pytest.raises(SimulationError) as caught:
        idle.join()
    head, main, *others = str(caught.value).splitlines()
    assert head == "everybody waits and no deadline will come:"
    assert main.startswith("  main: join of idle, at ")
    assert main.endswith(" in test_deadlock_names_who_waits_for_what")
    assert others[0].startswith(f"  pump: lock that main has, at {__file__}:")
    assert others[1:] == ["  valve: queue", "  idle: event"]
    clock.advance(1)  # the report ends nothing: with a deadline time passes again
    assert clock.monotonic() == 1


class Patient(Process):
    """Waits for ever when it is asked to."""

    name = "patient"

    @command(timeout_s=math.inf)
    async def wait(self) -> None:
        """Wait in a coroutine."""
        await asyncio.Event().wait()


class Asking(Service):
    """Asks for that, and waits for the answer."""

    name = "asking"
    tick_limit_s = math.inf

    def tick(self, ctx: Context) -> None:
        """Ask."""
        ctx.runtime.invoke("patient.wait", principal="local", timeout=math.inf)


def test_deadlock_names_coroutines_and_callers(clock: SimClock) -> None:
    """Of an event loop the report names each coroutine with its place; of whoever waits inside of
    edgekernel it names the place in the application that has called that."""
    runtime = Runtime(name="node", clock=clock)
    runtime.register(Patient())
    runtime.register(Asking())
    with runtime:
        with pytest.raises(SimulationError, match="no deadline will come") as caught:
            clock.Event().wait()
        lines = str(caught.value).splitlines()
    service = next(line for line in lines if line.startswith("  svc:asking: event, at "))
    assert f"at {__file__}:" in service
    assert re.search(r" in tick, which is at .*call\.py:\d+ in result$", service)
    coroutine = next(line for line in lines if "command patient.wait" in line)
    assert coroutine.startswith(f"    command patient.wait, at {__file__}:")
    assert coroutine.endswith(" in wait")


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
        ("call into the runtime", lambda clock: clock.flow()),
    ],
    ids=["sleep", "advance", "run_until", "event", "queue", "thread", "close", "flow"],
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


def test_second_thread_emits_and_sets_nothing(clock: SimClock) -> None:
    """A thread that an application starts by itself cannot run handlers and effects beside the
    simulation: in no two runs it would be the same."""
    handled: list[object] = []
    level = Signal(1)
    runtime = Runtime(clock=clock)
    runtime.subscribe(Called, handled.append)
    with runtime:
        effect = runtime.turns.within(Effect, lambda: handled.append(level.get()))
        for call in (lambda: runtime.emit(Called()), lambda: level.set(2)):
            assert "threading.Thread" in str(elsewhere(call))
        assert handled == [1]
        effect.dispose()


def test_second_thread_wakes_nobody(clock: SimClock) -> None:
    """What a second OS thread sets would wake others at any moment: it is refused if they wait."""
    event, woken = clock.Event(), []
    go(clock, "waits", lambda: woken.append(event.wait(10)))
    clock.advance(1)
    assert isinstance(elsewhere(event.set), SimulationError)
    clock.advance(1)
    assert woken == []


def test_who_looks_sees_each_state_that_lasts(clock: SimClock) -> None:
    """A look comes before time passes and not otherwise, until it is given up; it changes no
    order and takes no time."""
    state, seen = "idle", []

    def work() -> None:
        nonlocal state
        for each in ("begun", "half", "done"):
            state = each
            clock.sleep(0)
            state = f"{each}, really"
            clock.sleep(2)

    end = clock.before_time_passes(lambda: seen.append((clock.monotonic(), state)))
    go(clock, "work", work)
    clock.advance(3)
    assert seen == [(0.0, "begun, really"), (2.0, "half, really")]
    end()
    clock.advance(3)
    assert len(seen) == 2


def test_waiting_names_who_has_not_ended(clock: SimClock) -> None:
    """Each thread is there with what it waits for and where, until it has ended."""
    event = clock.Event()
    go(clock, "worker", event.wait)
    go(clock, "sleeper", clock.sleep, 10)
    clock.advance(1)
    worker, sleeper = clock.waiting()
    assert worker.startswith("worker: event")
    assert sleeper.startswith("sleeper: sleep")
    event.set()
    clock.advance(10)
    assert clock.waiting() == []


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
