"""A battery with loads and a charger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from annotated_types import Ge, Gt, Le

from edgekernel.core.errors import InvalidValueError
from edgekernel.sim.places import Actuator, Sensor


class Battery:
    """A store of charge: the state of charge falls with what the loads draw, and rises with what
    the charger gives, from 0 to 1.

    `loads` are outputs that draw `load_a` amperes each at full share, `base_load_a` is drawn
    always; an empty battery gives nothing. The charger gives `charge_a` times the share of
    `charger`, or always without one, until the battery is full. What the loads draw it gives to
    them; `efficiency` is the share of the rest that is stored. The voltage goes in a straight line
    from `empty_v` to `full_v`, less `resistance_ohm` times the current that is drawn. `voltage`,
    `current` (what flows out, negative while charging) and `charge` (0 to 1) are measured.

    Each step is exact while the outputs stay as they are, however long it is.
    """

    step_s = 1.0

    def __init__(
        self,
        *,
        loads: Sequence[Actuator] = (),
        charger: Actuator | None = None,
        voltage: Sensor | None = None,
        current: Sensor | None = None,
        charge: Sensor | None = None,
        capacity_ah: Annotated[float, Gt(0)] = 20.0,
        load_a: Annotated[float, Ge(0)] = 1.0,
        base_load_a: Annotated[float, Ge(0)] = 0.1,
        charge_a: Annotated[float, Ge(0)] = 0.0,
        efficiency: Annotated[float, Gt(0), Le(1)] = 0.95,
        full_v: Annotated[float, Gt(0)] = 13.0,
        empty_v: Annotated[float, Gt(0)] = 11.0,
        resistance_ohm: Annotated[float, Ge(0)] = 0.05,
        start: Annotated[float, Ge(0), Le(1)] = 1.0,
    ) -> None:
        if empty_v >= full_v:
            raise InvalidValueError(f"empty_v {empty_v:g} is not below full_v {full_v:g}")
        self.charge = float(start)
        self.current_a = 0.0
        self._loads, self._charger = tuple(loads), charger
        self._measured = [voltage, current, charge]
        self._capacity_as = capacity_ah * 3600
        self._load_a, self._base_a, self._charge_a = load_a, base_load_a, charge_a
        self._efficiency = efficiency
        self._full_v, self._empty_v, self._resistance = full_v, empty_v, resistance_ohm
        self.step(0.0)

    @property
    def voltage_v(self) -> float:
        """The voltage at its terminals."""
        open_v = self._empty_v + (self._full_v - self._empty_v) * self.charge
        return max(0.0, open_v - self._resistance * self.current_a)

    def step(self, seconds: float) -> None:
        """Let `seconds` pass."""
        drawn_a = self._base_a + self._load_a * sum(abs(each.share) for each in self._loads)
        given_a = self._charge_a * (1.0 if self._charger is None else abs(self._charger.share))
        left_a = given_a - drawn_a
        stored_a = left_a * self._efficiency if left_a > 0 else left_a
        # Within a step the charge goes one way: full or empty it stays.
        self.charge += stored_a * seconds / self._capacity_as
        self.charge = min(1.0, max(0.0, self.charge))
        stays = (self.charge == 0 and left_a < 0) or (self.charge == 1 and left_a > 0)
        self.current_a = 0.0 if stays else -left_a
        self._show()

    def _show(self) -> None:
        values = (self.voltage_v, self.current_a, self.charge)
        for sensor, value in zip(self._measured, values, strict=True):
            if sensor is not None:
                sensor.show(value)
