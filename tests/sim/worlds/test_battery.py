"""The battery: charge, voltage and current by its loads and its charger."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.core.errors import InvalidValueError
from edgekernel.sim import Actuator, Sensor
from edgekernel.sim.worlds import Battery

At = Callable[[float], Actuator]


def test_discharges(at: At) -> None:
    """What the loads draw is gone from the charge, and the voltage falls with both."""
    battery = Battery(
        loads=[at(1.0), at(0.5)], load_a=2, base_load_a=1, capacity_ah=8, full_v=13, empty_v=11,
        resistance_ohm=0.1,
    )  # fmt: skip
    assert battery.current_a == 4
    battery.step(3600)
    assert battery.charge == pytest.approx(0.5)
    assert battery.voltage_v == pytest.approx(12 - 0.4)
    battery.step(36_000)
    assert (battery.charge, battery.current_a) == (0, 0)


def test_charges(at: At) -> None:
    """The charger gives its current until the battery is full, less what is lost."""
    shown: dict[str, float] = {}

    def measured(name: str) -> Sensor:
        return Sensor(name, lambda value: shown.update({name: value}), float)

    battery = Battery(
        charger=at(1.0), charge_a=5, efficiency=0.9, base_load_a=0, capacity_ah=9, start=0.5,
        voltage=measured("voltage"), current=measured("current"), charge=measured("charge"),
    )  # fmt: skip
    battery.step(1800)
    assert shown["charge"] == pytest.approx(0.75)
    assert shown["current"] == -5
    assert shown["voltage"] == pytest.approx(11 + 2 * 0.75 + 0.05 * 5)
    battery.step(7200)
    assert (shown["charge"], shown["current"]) == (1, 0)


@given(
    cuts=st.lists(st.floats(0.001, 20_000), min_size=1, max_size=20), load=st.floats(0, 1),
    charge_a=st.floats(0, 5),
)  # fmt: skip
def test_step_size_does_not_matter(cuts: list[float], load: float, charge_a: float) -> None:
    """However a time is cut into steps, the charge at its end is the same, full and empty too."""
    batteries = [
        Battery(loads=[Actuator("load", lambda: load)], charge_a=charge_a, start=0.5)
        for _ in range(2)
    ]
    for seconds in cuts:
        batteries[0].step(seconds)
    batteries[1].step(sum(cuts))
    assert batteries[0].charge == pytest.approx(batteries[1].charge, abs=1e-9)


@given(
    cuts=st.lists(st.floats(0.001, 20_000), min_size=1, max_size=20), load=st.floats(0, 1),
    charge_a=st.floats(0, 5), start=st.floats(0, 1), efficiency=st.floats(0.5, 1),
)  # fmt: skip
def test_charge_is_what_has_flown(
    cuts: list[float], load: float, charge_a: float, start: float, efficiency: float
) -> None:
    """Between empty and full the charge changes by the current, which flows out while it falls and
    in while it rises, less what is lost; at the ends nothing flows."""
    battery = Battery(
        loads=[Actuator("load", lambda: load)], charge_a=charge_a, start=start, capacity_ah=5,
        efficiency=efficiency,
    )  # fmt: skip
    for seconds in cuts:
        before = battery.charge
        battery.step(seconds)
        assert 0 <= battery.charge <= 1
        changed_a = (battery.charge - before) * 5 * 3600 / seconds
        if 0 < battery.charge < 1:
            share = efficiency if battery.current_a < 0 else 1.0
            assert changed_a == pytest.approx(-battery.current_a * share, abs=1e-4)
        else:
            assert battery.current_a == 0 or battery.charge == before


def test_voltages() -> None:
    """An empty battery has less voltage than a full one."""
    with pytest.raises(InvalidValueError, match="empty_v 14 is not below full_v 13"):
        Battery(empty_v=14)
