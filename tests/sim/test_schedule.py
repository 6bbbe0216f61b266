"""The schedule: exact times, one order, and a failure that harms no other call."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.core.clock import SystemClock
from edgekernel.sim import SimClock
from edgekernel.sim.schedule import Schedule


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock."""
    with SimClock() as clock:
        yield clock


@given(st.lists(st.integers(0, 5_000_000_000), max_size=30))
def test_times_and_order(times_ns: list[int]) -> None:
    """Calls are made at their times to the nanosecond, those of one time as they came."""
    with SimClock() as clock:
        made: list[tuple[int, int]] = []
        schedule = Schedule(clock, "test", lambda error: None)
        schedule.start()
        for index, at_ns in enumerate(times_ns):
            schedule.at(at_ns, partial(lambda i: made.append((clock.monotonic_ns(), i)), index))
        clock.advance(6)
        schedule.stop()
        assert made == sorted((at_ns, index) for index, at_ns in enumerate(times_ns))


def test_earlier_one_comes_later(clock: SimClock) -> None:
    """A call that is asked for later and due earlier is made first, also by another call."""
    made: list[float] = []
    schedule = Schedule(clock, "test", lambda error: None)
    schedule.start()
    schedule.later(10, lambda: made.append(clock.monotonic()))
    clock.advance(1)
    schedule.later(2, lambda: schedule.later(1, lambda: made.append(clock.monotonic())))
    clock.advance(20)
    schedule.stop()
    assert made == [4, 10]


def test_failure(clock: SimClock) -> None:
    """What a call raises is told, and the next one is made."""
    failed: list[BaseException] = []
    made: list[str] = []
    schedule = Schedule(clock, "test", failed.append)
    schedule.start()
    schedule.later(1, lambda: made[7])
    schedule.later(2, lambda: made.append("next"))
    clock.advance(3)
    schedule.stop()
    assert ([type(error) for error in failed], made) == ([IndexError], ["next"])


def test_stopped(clock: SimClock) -> None:
    """After the end no call is made, and what was left is forgotten; it can begin anew."""
    made: list[int] = []
    schedule = Schedule(clock, "test", lambda error: None)
    schedule.start()
    schedule.later(5, lambda: made.append(1))
    clock.advance(1)
    schedule.stop()
    schedule.start()
    schedule.later(1, lambda: made.append(2))
    clock.advance(10)
    schedule.stop()
    assert made == [2]


def test_real_time() -> None:
    """On the real clock it works the same, and leaves no thread."""
    clock = SystemClock()
    done = clock.Event()
    schedule = Schedule(clock, "test", lambda error: None)
    schedule.start()
    schedule.later(0.01, done.set)
    assert done.wait(10)
    schedule.stop()
