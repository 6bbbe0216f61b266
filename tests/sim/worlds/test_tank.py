"""The tank: against the closed-form solutions of its equation."""

from __future__ import annotations

from collections.abc import Callable
from math import exp
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.core.errors import InvalidValueError
from edgekernel.sim import Actuator, Sensor, Switch
from edgekernel.sim.outside import OutsideLine
from edgekernel.sim.worlds import Tank

At = Callable[[float], Actuator]


class Wire:
    """A line that keeps its level."""

    level = False

    def drive(self, level: bool) -> None:
        """Take a level."""
        self.level = level

    def watch(self, changed: Callable[[bool], None]) -> None:
        """Tell nobody."""


def switch() -> tuple[Switch, Wire]:
    """Return a switch that is active low, and the wire it is on."""
    wire = Wire()
    return Switch("float", OutsideLine("GPIO1", wire, lambda seconds, call: None), False), wire


def test_fills_in_a_straight_line(at: At) -> None:
    """What flows in less what is drawn makes the level, and it stays within the tank."""
    tank = Tank(pump=at(1.0), inflow_m3_per_s=0.003, outflow_m3_per_s=0.001, area_m2=2, start_m=0.5)
    tank.step(100)
    assert tank.level_m == pytest.approx(0.6)
    tank.step(1e5)
    assert tank.level_m == 2.0
    drawn = Tank(valve=at(0.5), outflow_m3_per_s=0.002, start_m=1)
    drawn.step(500)
    assert drawn.level_m == pytest.approx(0.5)
    drawn.step(1e5)
    assert drawn.level_m == 0.0


def test_drains_by_its_height() -> None:
    """A drain takes by the height: the level decays exponentially."""
    tank = Tank(outflow_m3_per_s=0, drain_m2_per_s=0.01, area_m2=2, start_m=1.5)
    tank.step(200)
    assert tank.level_m == pytest.approx(1.5 * exp(-1))


@given(
    cuts=st.lists(st.floats(0.001, 2000), min_size=1, max_size=20),
    pumping=st.floats(0, 1),
    drain=st.floats(1e-15, 0.01) | st.just(0.0),
)
def test_step_size_does_not_matter(cuts: list[float], pumping: float, drain: float) -> None:
    """However a time is cut into steps, the level at its end is the same, full and empty too."""
    tanks = [Tank(pump=Actuator("pump", lambda: pumping), drain_m2_per_s=drain) for _ in range(2)]
    for seconds in cuts:
        tanks[0].step(seconds)
    tanks[1].step(sum(cuts))
    assert tanks[0].level_m == pytest.approx(tanks[1].level_m, abs=1e-6)


@given(
    steps=st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 1e5)), min_size=1, max_size=20
    ),
    drain=st.floats(1e-12, 1) | st.just(0.0),
    start=st.floats(0, 2),
)
def test_no_water_is_made(
    steps: list[tuple[float, float, float]], drain: float, start: float
) -> None:
    """Whatever pump and valve do, the level stays within the tank, and is never higher than what
    flows in could make it nor lower than what flows out."""
    shares = [0.0, 0.0]
    tank = Tank(
        pump=Actuator("pump", lambda: shares[0]), valve=Actuator("valve", lambda: shares[1]),
        inflow_m3_per_s=0.01, outflow_m3_per_s=0.02, area_m2=3, drain_m2_per_s=drain,
        start_m=start,
    )  # fmt: skip
    for pumping, drawing, seconds in steps:
        shares[:] = pumping, drawing
        before = tank.level_m
        tank.step(seconds)
        highest = max(before, tank.level_m)
        gained = (tank.level_m - before) * 3
        assert 0 <= tank.level_m <= 2
        assert gained <= 0.01 * pumping * seconds + 1e-9
        assert -gained <= (0.02 * drawing + drain * highest) * seconds + 1e-9


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"start_m": 3}, "start_m 3 is above height_m 2"),
        ({"height_m": 1.5, "high": switch()[0]}, "high_m 1.7 is above height_m 1.5"),
        ({"low_m": 2.5, "low": switch()[0]}, "low_m 2.5 is above height_m 2"),
    ],
)
def test_nothing_above_the_top(settings: dict[str, Any], told: str) -> None:
    """A level or a float that the water never reaches is refused; one that is not there is not."""
    with pytest.raises(InvalidValueError, match=told):
        Tank(**settings)
    assert Tank(height_m=1.0).level_m == 1.0


def test_is_watched(at: At) -> None:
    """The distance is measured from the top, the level from the bottom, and the float switches
    close at their heights."""
    low, low_wire = switch()
    high, high_wire = switch()
    distances: list[float] = []
    volts: list[float] = []
    tank = Tank(
        pump=at(1.0), outflow_m3_per_s=0, inflow_m3_per_s=0.001, start_m=0, low=low, high=high,
        distance=Sensor("distance", distances.append, float),
        level=Sensor("adc.a0_v", volts.append, float, 1.65, 0.1),
    )  # fmt: skip
    assert (low_wire.level, high_wire.level) == (True, True)
    tank.step(301)
    assert (low_wire.level, high_wire.level) == (False, True)
    tank.step(1400)
    assert (low_wire.level, high_wire.level) == (False, False)
    assert distances[-1] == pytest.approx(2 - 1.701)
    assert volts[-1] == pytest.approx(1.701 * 1.65 + 0.1)


def test_meter_needs_a_bench() -> None:
    """Pulses take time, which only a bench can pass: without one they are refused."""
    with pytest.raises(InvalidValueError, match="float: a meter's pulses need a bench"):
        Tank(meter=switch()[0])
