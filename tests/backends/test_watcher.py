"""The thread that looks at lines when they are due."""

from __future__ import annotations

import pytest

from edgekernel.backends.watcher import Watcher
from edgekernel.core.clock import SystemClock
from edgekernel.sim.clock import SimClock

S = 1_000_000_000


def test_calls_when_due() -> None:
    """Calls are made at their times, in the order of the times; a new time replaces the old."""
    made: list[tuple[str, float]] = []
    with SimClock() as clock:
        watcher = Watcher(clock)

        def first() -> None:
            made.append(("first", clock.monotonic()))

        def second() -> None:
            made.append(("second", clock.monotonic()))

        watcher.call_at(3 * S, first)
        watcher.call_at(2 * S, second)
        clock.advance(1)
        watcher.call_at(5 * S, first)
        clock.advance(10)
        watcher.close()
    assert made == [("second", 2.0), ("first", 5.0)]


def test_earlier_wakes_it() -> None:
    """A call that is due before the one it sleeps for is made on time."""
    made: list[float] = []
    with SimClock() as clock:
        watcher = Watcher(clock)
        watcher.call_at(600 * S, print)
        clock.advance(1)
        watcher.call_at(2 * S, lambda: made.append(clock.monotonic()))
        clock.advance(100)
        watcher.close()
    assert made == [2.0]


def test_goes_on_after_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """A call that raises is logged, and the next one is made."""
    made: list[float] = []

    def fail() -> None:
        raise ZeroDivisionError

    with SimClock() as clock:
        watcher = Watcher(clock)
        watcher.call_at(1 * S, fail)
        watcher.call_at(2 * S, lambda: made.append(clock.monotonic()))
        clock.advance(3)
        watcher.close()
    assert made == [2.0]
    assert "ZeroDivisionError" in caplog.text


def test_closed() -> None:
    """On real threads: what is due is called, close ends the thread, and nothing comes after."""
    clock = SystemClock()
    watcher = Watcher(clock)
    called = clock.Event()
    watcher.call_at(clock.monotonic_ns() + 1_000_000, called.set)
    assert called.wait(10)
    watcher.close()
    watcher.close()
    watcher.call_at(0, called.clear)
    assert called.is_set()


def test_closed_from_within() -> None:
    """A call may close the watcher that makes it."""
    clock = SystemClock()
    watcher = Watcher(clock)
    closed = clock.Event()

    def close() -> None:
        watcher.close()
        closed.set()

    watcher.call_at(0, close)
    assert closed.wait(10)
    watcher.close()
