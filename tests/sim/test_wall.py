"""The wall time: steps and drift, of which the monotonic time knows nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from edgekernel.sim import SimClock
from edgekernel.sim.wall import WallTime
from tests.sim.conftest import go

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_step_moves_nobody(clock: SimClock) -> None:
    """After a step of the wall time by hours, forward or backward, everybody wakes as before."""
    woken: list[float] = []

    def sleep() -> None:
        clock.sleep(10)
        woken.append(clock.monotonic())

    go(clock, "sleeper", sleep)
    clock.advance(1)
    clock.step_wall(3 * 3600)
    assert clock.now_utc() == START + timedelta(hours=3, seconds=1)
    clock.step_wall(-24 * 3600)
    clock.advance(9)
    assert woken == [10.0]
    assert clock.now_utc() == START + timedelta(hours=-21, seconds=10)


def test_drift(clock: SimClock) -> None:
    """A wall time that is 50 millionths fast is 4.32 s ahead after a day; then it may be slow."""
    clock.wall_drift_ppm = 50.0
    clock.advance(86400)
    assert clock.now_utc() == START + timedelta(days=1, seconds=4.32)
    clock.wall_drift_ppm = -50.0
    clock.advance(86400)
    assert clock.now_utc() == START + timedelta(days=2)
    assert clock.monotonic() == 2 * 86400


@given(st.floats(-500, 500), st.lists(st.integers(0, 10**15), max_size=20))
def test_never_goes_back_by_itself(ppm: float, moments: list[int]) -> None:
    """Whatever the drift, the wall time goes forward with the monotonic time, as whole numbers."""
    wall = WallTime(START)
    wall.drift_from(0, ppm)
    times = [wall.at(moment) for moment in sorted(moments)]
    assert times == sorted(times)


def test_until_a_wall_time(clock: SimClock) -> None:
    """`run_until` takes a wall time or a monotonic time and ends at that very moment."""
    assert clock.run_until(START + timedelta(hours=1))
    assert clock.monotonic() == 3600
    assert clock.run_until(7200.5)
    assert clock.monotonic() == 7200.5
