"""A tank: a pump fills it, something draws from it, floats and a distance sensor watch it."""

from __future__ import annotations

from math import expm1
from typing import Annotated

from annotated_types import Ge, Gt

from edgekernel.core.errors import InvalidValueError
from edgekernel.sim.bench import Bench
from edgekernel.sim.places import Actuator, Sensor, Switch
from edgekernel.sim.pulses import Pulses


class Tank:
    """An upright tank of area A: A dh/dt = inflow - outflow - k h, from empty to full.

    The inflow is `inflow_m3_per_s` times the share of `pump`; the outflow `outflow_m3_per_s` times
    the share of `valve`, or all of it without one, while there is something to draw; k is the
    drain of a pipe or filter, `drain_m2_per_s`.

    `level` measures the height of the water in metres, `distance` that from the top of the tank
    down to it, as an ultrasonic sensor there. The float switches `low` and `high` are closed while
    the level is at least `low_m` and `high_m`. `meter` gives `pulses_per_m3` for the inflow.

    Each step is exact while the outputs stay as they are, however long it is. Raises
    InvalidValueError for a level or a float above the top.
    """

    step_s = 0.5

    def __init__(
        self,
        bench: Bench | None = None,
        *,
        pump: Actuator | None = None,
        valve: Actuator | None = None,
        level: Sensor | None = None,
        distance: Sensor | None = None,
        low: Switch | None = None,
        high: Switch | None = None,
        meter: Switch | None = None,
        area_m2: Annotated[float, Gt(0)] = 1.0,
        height_m: Annotated[float, Gt(0)] = 2.0,
        inflow_m3_per_s: Annotated[float, Ge(0)] = 0.001,
        outflow_m3_per_s: Annotated[float, Ge(0)] = 0.0002,
        drain_m2_per_s: Annotated[float, Ge(0)] = 0.0,
        low_m: Annotated[float, Ge(0)] = 0.3,
        high_m: Annotated[float, Ge(0)] = 1.7,
        pulses_per_m3: Annotated[float, Gt(0)] = 1000.0,
        start_m: Annotated[float, Ge(0)] = 1.0,
    ) -> None:
        self._floats = [("low_m", low, low_m), ("high_m", high, high_m)]
        used = [(name, at_m) for name, switch, at_m in self._floats if switch is not None]
        for name, at_m in [("start_m", start_m), *used]:
            if at_m > height_m:
                raise InvalidValueError(f"{name} {at_m:g} is above height_m {height_m:g}")
        self.level_m = start_m
        self._pump, self._valve = pump, valve
        self._level, self._distance = level, distance
        self._meter = Pulses.of(bench, meter, pulses_per_m3)
        self._area, self._height = area_m2, height_m
        self._inflow, self._outflow = inflow_m3_per_s, outflow_m3_per_s
        self._drain = drain_m2_per_s
        self._show()

    def step(self, seconds: float) -> None:
        """Let `seconds` pass."""
        inflow = self._inflow * (0.0 if self._pump is None else abs(self._pump.share))
        outflow = self._outflow * (1.0 if self._valve is None else abs(self._valve.share))
        # Within a step the level goes one way: at an end of the tank it stays.
        self.level_m = min(self._height, max(0.0, self._unbounded(inflow - outflow, seconds)))
        if self._meter is not None:
            self._meter.add(inflow * seconds, seconds)
        self._show()

    def _unbounded(self, flow: float, seconds: float) -> float:
        if self._drain == 0:
            return self.level_m + flow / self._area * seconds
        tends_to = flow / self._drain
        # expm1, since a drain may be so small that 1 - exp(...) would have no digits left.
        return self.level_m + (self.level_m - tends_to) * expm1(-self._drain / self._area * seconds)

    def _show(self) -> None:
        if self._level is not None:
            self._level.show(self.level_m)
        if self._distance is not None:
            self._distance.show(self._height - self.level_m)
        for _, float_switch, at_m in self._floats:
            if float_switch is not None:
                float_switch.set(self.level_m >= at_m)
