"""The motor: against the closed-form solution, and its encoder edge by edge."""

from __future__ import annotations

from collections.abc import Callable
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.core.errors import InvalidValueError
from edgekernel.sim import Actuator, Sensor
from edgekernel.sim.worlds import Motor

At = Callable[[float], Actuator]


def test_runs_up(at: At) -> None:
    """The speed follows the drive with its time constant, and the turns are its integral."""
    speeds: list[float] = []
    speed = Sensor("speed", speeds.append, float)
    motor = Motor(drive=at(0.5), full_speed_rps=8, inertia_s=0.3, speed=speed)
    motor.step(0.3)
    assert speeds == [pytest.approx(4 * (1 - exp(-1)))]
    assert motor.turns == pytest.approx(4 * 0.3 * exp(-1))
    motor.step(30)
    assert motor.speed_rps == pytest.approx(4)
    assert motor.turns == pytest.approx(4 * 30.3 - 4 * 0.3)


@given(
    cuts=st.lists(st.floats(0.0001, 3), min_size=1, max_size=20),
    drive=st.floats(-1, 1),
    before=st.floats(-1, 1),
)
def test_step_size_does_not_matter(cuts: list[float], drive: float, before: float) -> None:
    """However a time is cut into steps, speed and position at its end are the same."""
    share = [before]
    motors = [Motor(drive=Actuator("drive", lambda: share[0])) for _ in range(2)]
    for motor in motors:
        motor.step(1.0)
    share[0] = drive
    for seconds in cuts:
        motors[0].step(seconds)
    motors[1].step(sum(cuts))
    assert motors[0].speed_rps == pytest.approx(motors[1].speed_rps, abs=1e-9)
    assert motors[0].turns == pytest.approx(motors[1].turns, abs=1e-9)


def test_too_fast(at: At) -> None:
    """An encoder that nobody could follow is refused, with both numbers."""
    with pytest.raises(InvalidValueError, match="full_speed_rps 100 times counts_per_turn 1000"):
        Motor(drive=at(0.0), full_speed_rps=100, counts_per_turn=1000)
