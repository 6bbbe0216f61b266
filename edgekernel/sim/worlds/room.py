"""A room: one well-mixed volume of air that is heated, cooled, aired, and loses heat."""

from __future__ import annotations

from math import exp, expm1
from typing import Annotated

from annotated_types import Ge, Gt

from edgekernel.sim.places import Actuator, Sensor
from edgekernel.sim.worlds.climate import Climate


class ThermalRoom:
    """A heat capacity with a loss to outside: C dT/dt = P + G (T_outside - T).

    P is `heater_w` times the share of `heater`, less `cooler_w` times that of `cooler`. G is
    `loss_w_per_k`, and `vent_w_per_k` times the share of `vent` on top. `outside` is a climate;
    without one it is `outside_c` outside. `sensor` measures the temperature. The air's vapour
    stays: `humidity` measures the relative humidity that goes with a dew point of `dew_point_c`.

    Each step is exact while the outputs stay as they are, however long it is.
    """

    step_s = 1.0

    def __init__(
        self,
        *,
        heater: Actuator | None = None,
        cooler: Actuator | None = None,
        vent: Actuator | None = None,
        sensor: Sensor | None = None,
        humidity: Sensor | None = None,
        outside: Climate | None = None,
        outside_c: float = 10.0,
        capacity_j_per_k: Annotated[float, Gt(0)] = 50_000.0,
        loss_w_per_k: Annotated[float, Gt(0)] = 20.0,
        vent_w_per_k: Annotated[float, Ge(0)] = 200.0,
        heater_w: Annotated[float, Ge(0)] = 1000.0,
        cooler_w: Annotated[float, Ge(0)] = 1000.0,
        start_c: float = 17.0,
        dew_point_c: float = 9.0,
    ) -> None:
        self.temperature_c = start_c
        self.dew_point_c = dew_point_c
        self._heater, self._cooler, self._vent = heater, cooler, vent
        self._sensor, self._humidity = sensor, humidity
        self._outside = Climate(mean_c=outside_c) if outside is None else outside
        self._capacity = capacity_j_per_k
        self._loss, self._vent_loss = loss_w_per_k, vent_w_per_k
        self._heater_w, self._cooler_w = heater_w, cooler_w
        self._elapsed_s = 0.0
        self._show()

    @property
    def humidity_percent(self) -> float:
        """The relative humidity, 0 to 100."""
        saturated = vapour_pressure_hpa(self.temperature_c)
        return min(100.0, 100.0 * vapour_pressure_hpa(self.dew_point_c) / saturated)

    def step(self, seconds: float) -> None:
        """Let `seconds` pass: the difference to where it tends decays, with what it tends to moving
        on."""
        power_w = self._heater_w * _share(self._heater) - self._cooler_w * _share(self._cooler)
        loss = self._loss + self._vent_loss * _share(self._vent)
        tau_s = self._capacity / loss
        before_c = self._outside.lagging(self._elapsed_s, tau_s)
        self._elapsed_s += seconds
        after_c = self._outside.lagging(self._elapsed_s, tau_s)
        above_k = self.temperature_c - (power_w / loss + before_c)
        # expm1, since a loss may be so small that 1 - exp(...) would have no digits left.
        self.temperature_c += after_c - before_c + above_k * expm1(-seconds / tau_s)
        self._show()

    def _show(self) -> None:
        if self._sensor is not None:
            self._sensor.show(self.temperature_c)
        if self._humidity is not None:
            self._humidity.show(self.humidity_percent)


def vapour_pressure_hpa(celsius: float) -> float:
    """Return the saturation vapour pressure over water: Magnus' formula, WMO-No. 8, annex 4.B.

    From -45 to 60 °C; outside of that it is only roughly right.
    """
    return 6.112 * exp(17.62 * celsius / (243.12 + celsius))


def _share(actuator: Actuator | None) -> float:
    return 0.0 if actuator is None else abs(actuator.share)
