"""The room: against the closed-form solution of its equation."""

from __future__ import annotations

from collections.abc import Callable
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.sim import Actuator, Sensor
from edgekernel.sim.worlds import Climate, ThermalRoom, vapour_pressure_hpa

At = Callable[[float], Actuator]


def test_heats_up_to_its_balance(at: At) -> None:
    """With the heater on the temperature goes to outside + power/loss, by 63 % in one time
    constant."""
    room = ThermalRoom(
        heater=at(1.0), outside_c=10, start_c=10, capacity_j_per_k=50_000, loss_w_per_k=20,
        heater_w=400,
    )  # fmt: skip
    room.step(50_000 / 20)
    assert room.temperature_c == pytest.approx(10 + 20 * (1 - exp(-1)))
    room.step(1e6)
    assert room.temperature_c == pytest.approx(30)


def test_cools_and_airs(at: At) -> None:
    """A cooler takes its power away, and a vent adds to the loss, each by its share."""
    cooled = ThermalRoom(cooler=at(0.5), outside_c=20, loss_w_per_k=20, cooler_w=400)
    cooled.step(1e6)
    assert cooled.temperature_c == pytest.approx(10)
    heated = ThermalRoom(
        heater=at(1.0), vent=at(0.5), outside_c=0, loss_w_per_k=20, vent_w_per_k=160, heater_w=1000
    )
    heated.step(1e6)
    assert heated.temperature_c == pytest.approx(10)


def test_follows_the_day() -> None:
    """In the course of days it swings as what it hangs on, less and later: as small steps of the
    equation say."""
    climate = Climate(mean_c=12, swing_k=8, coldest_at_s=4 * 3600)
    room = ThermalRoom(outside=climate, start_c=5, capacity_j_per_k=400_000, loss_w_per_k=30)
    euler, step_s = 5.0, 0.5
    for index in range(int(86_400 / step_s)):
        outside = climate.temperature_at((index + 0.5) * step_s)
        euler += step_s * 30 / 400_000 * (outside - euler)
    room.step(86_400)
    assert room.temperature_c == pytest.approx(euler, abs=1e-3)


@given(
    cuts=st.lists(st.floats(0.001, 20_000), min_size=1, max_size=20),
    heating=st.floats(0, 1),
    airing=st.floats(0, 1),
    swing_k=st.floats(0, 20),
)
def test_step_size_does_not_matter(
    cuts: list[float], heating: float, airing: float, swing_k: float
) -> None:
    """However a time is cut into steps, the temperature at its end is the same."""
    rooms = [
        ThermalRoom(
            heater=Actuator("heater", lambda: heating),
            vent=Actuator("vent", lambda: airing),
            outside=Climate(swing_k=swing_k),
        )
        for _ in range(2)
    ]
    for seconds in cuts:
        rooms[0].step(seconds)
    rooms[1].step(sum(cuts))
    assert rooms[0].temperature_c == pytest.approx(rooms[1].temperature_c, abs=1e-6)


@given(
    cuts=st.lists(st.floats(0.001, 50_000), min_size=1, max_size=20),
    start=st.floats(-30, 80), heating=st.floats(0, 1), loss=st.floats(1e-6, 500),
)  # fmt: skip
def test_tends_to_its_balance(cuts: list[float], start: float, heating: float, loss: float) -> None:
    """Whatever the steps, the temperature goes towards where loss and heating are equal, never
    past it, and takes up exactly what the heater gives less what the loss takes."""
    room = ThermalRoom(
        heater=Actuator("heater", lambda: heating), outside_c=10, start_c=start, heater_w=500,
        loss_w_per_k=loss,
    )  # fmt: skip
    balance_c = 10 + 500 * heating / loss
    for seconds in cuts:
        before = room.temperature_c
        room.step(seconds)
        after = room.temperature_c
        slack = 1e-9 * max(1.0, abs(balance_c))
        assert abs(balance_c - after) <= abs(balance_c - before) + slack
        assert (balance_c - after) * (balance_c - before) >= -slack
        most, least = (500 * heating - loss * (t - 10) for t in sorted((before, after)))
        taken_w = 50_000 * (after - before) / seconds
        assert least - 1e-3 <= taken_w <= most + 1e-3


def test_humidity() -> None:
    """The vapour stays: warmer air is drier, and at the dew point it is saturated."""
    seen: list[float] = []
    room = ThermalRoom(
        humidity=Sensor("room.humidity_percent", seen.append, float),
        outside_c=20, start_c=9, dew_point_c=9,
    )  # fmt: skip
    assert seen[-1] == 100
    room.step(1e7)
    # 11.48 hPa at 9 °C and 23.37 hPa at 20 °C (WMO-No. 8, annex 4.B)
    assert seen[-1] == pytest.approx(100 * 11.48 / 23.37, abs=0.2)
    assert vapour_pressure_hpa(0) == 6.112
