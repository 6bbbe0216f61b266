"""Timers: calls at a time, all from one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Effect, Signal, SystemClock
from edgekernel.core.timers import Timers
from edgekernel.core.turns import TurnQueue
from edgekernel.sim import SimClock
from tests.core.starved import StarvedClock

S = 10**9


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def timers(clock: SimClock) -> Iterator[Timers]:
    """Timers on that clock, closed at the end."""
    made = Timers(clock, "timers", TurnQueue(clock, dispatcher="dispatcher"))
    yield made
    made.close()


def test_each_at_its_time(clock: SimClock, timers: Timers) -> None:
    """Timers are called once each, in the order of their times, however they were set."""
    called: list[tuple[str, float]] = []
    for name, at_s in (("c", 3), ("a", 1), ("b", 2)):
        call: Callable[[], object] = lambda name=name: called.append((name, clock.monotonic()))  # type: ignore[misc]  # noqa: E731
        timers.timer(call).set(at_s * S)
    clock.advance(10)
    assert called == [("a", 1.0), ("b", 2.0), ("c", 3.0)]


def test_set_anew_and_cancelled(clock: SimClock, timers: Timers) -> None:
    """The last time that was set counts, sooner or later; what was cancelled is not called."""
    called: list[float] = []
    moved, gone = (timers.timer(lambda: called.append(clock.monotonic())) for _ in "ab")
    moved.set(5 * S)
    moved.set(2 * S)
    moved.set(4 * S)
    gone.set(3 * S)
    gone.cancel()
    clock.advance(10)
    assert called == [4.0]
    moved.set(12 * S)
    gone.set(11 * S)
    clock.advance(10)
    assert called == [4.0, 11.0, 12.0]


def test_one_that_sets_itself(clock: SimClock, timers: Timers) -> None:
    """A timer may be set by its own call."""
    called: list[float] = []

    def again() -> None:
        called.append(clock.monotonic())
        timer.set(clock.monotonic_ns() + S)

    timer = timers.timer(again)
    timer.set(0)
    clock.advance(3.5)
    assert called == [0.0, 1.0, 2.0, 3.0]


def test_one_that_raises(clock: SimClock, timers: Timers, caplog: pytest.LogCaptureFixture) -> None:
    """P3: what a call raises is told, and the others are called."""
    called: list[float] = []
    timers.timer(lambda: 1 / 0).set(S)
    timers.timer(lambda: called.append(clock.monotonic())).set(2 * S)
    clock.advance(5)
    assert called == [2.0]
    assert "ZeroDivisionError" in caplog.text


def test_effects_run_elsewhere(clock: SimClock) -> None:
    """P2: an effect on what a timer has set runs in the dispatcher's thread, and one that hangs
    keeps no timer waiting."""
    turns = TurnQueue(clock, dispatcher="dispatcher")
    timers = Timers(clock, "timers", turns)
    level = Signal(0)
    ran: list[tuple[float, int]] = []

    def watch() -> None:
        ran.append((clock.monotonic(), level.get()))
        if level.peek() == 1:
            clock.sleep(100)

    effect = turns.within(lambda: Effect(watch))
    timers.timer(lambda: level.set(1)).set(S)
    timers.timer(lambda: level.set(2)).set(2 * S)
    clock.advance(5)
    assert level.peek() == 2
    assert ran == [(0.0, 0), (1.0, 1)]
    clock.advance(100)
    assert ran == [(0.0, 0), (1.0, 1), (101.0, 2)]
    effect.dispose()
    timers.close()
    turns.close()


def test_nothing_after_the_end(clock: SimClock, timers: Timers) -> None:
    """After `close` nothing is called, whenever it was set."""
    called: list[float] = []
    timer = timers.timer(lambda: called.append(clock.monotonic()))
    timer.set(S)
    clock.advance(0.5)
    timers.close()
    timer.set(2 * S)
    clock.advance(10)
    assert called == []


def test_in_real_time() -> None:
    """On the system's clock one thread serves all, beginning with the first that is set."""
    clock = SystemClock()
    timers = Timers(clock, "real timers", TurnQueue())
    done = threading.Event()
    assert not any(each.name == "real timers" for each in threading.enumerate())
    timers.timer(done.set).set(clock.monotonic_ns() + S // 100)
    assert done.wait(10)
    [thread] = [each for each in threading.enumerate() if each.name == "real timers"]
    timers.close()
    thread.join(10)
    assert not thread.is_alive()


def test_a_thread_that_does_not_start() -> None:
    """P7: what was not set raises so; the next timer tries again, and rings."""
    with StarvedClock() as clock:
        timers = Timers(clock, "timers", TurnQueue(clock))
        called: list[float] = []
        first, second = (timers.timer(lambda: called.append(clock.monotonic())) for _ in "ab")
        clock.starved = "timers"
        with pytest.raises(RuntimeError, match="can't start new thread"):
            first.set(S)
        assert first.due_ns is None
        clock.starved = None
        second.set(2 * S)
        clock.advance(10)
        timers.close()
        assert called == [2.0]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 300) | st.none()), max_size=300))
def test_any_order_of_setting(steps: list[tuple[int, int | None]]) -> None:
    """Whatever is set, set anew and cancelled, each timer is called at its last time, or not."""
    with SimClock() as clock:
        timers = Timers(clock, "timers", TurnQueue(clock))
        called: list[tuple[int, int]] = []
        made = [
            timers.timer(lambda n=n: called.append((n, clock.monotonic_ns() // S)))  # type: ignore[misc]
            for n in range(6)
        ]
        wanted: dict[int, int] = {}
        for number, at_s in steps:
            if at_s is None:
                made[number].cancel()
                wanted.pop(number, None)
            else:
                made[number].set(at_s * S)
                wanted[number] = at_s
        clock.advance(400)
        timers.close()
    assert sorted(called) == sorted(wanted.items())
