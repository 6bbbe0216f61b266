"""The weather around a node: a temperature that swings once a day."""

from __future__ import annotations

from math import atan, cos, hypot, pi
from typing import Annotated

from annotated_types import Ge, Lt

from edgekernel.sim.bench import Bench
from edgekernel.sim.places import Sensor

DAY_S = 86400.0
_OMEGA = 2 * pi / DAY_S


class Climate:
    """A temperature outside: `mean_c`, and `swing_k` above and below it in the course of a day.

    It is coldest `coldest_at_s` seconds after midnight UTC. `sensor` is a quantity of a chip that
    measures it. Other worlds name it as their `outside`.
    """

    step_s = 10.0

    def __init__(
        self,
        bench: Bench | None = None,
        *,
        mean_c: float = 10.0,
        swing_k: Annotated[float, Ge(0)] = 0.0,
        coldest_at_s: Annotated[float, Ge(0), Lt(DAY_S)] = 4 * 3600.0,
        sensor: Sensor | None = None,
    ) -> None:
        """Begin at the bench's time of day; without a bench at midnight."""
        self.mean_c = mean_c
        self.swing_k = swing_k
        midnight_s = 0.0 if bench is None else bench.clock.time_ns() / 1e9 % DAY_S
        self._coldest_s = coldest_at_s - midnight_s  # on the worlds' time, which begins at 0
        self._sensor = sensor
        self._elapsed_s = 0.0
        self._show()

    @property
    def temperature_c(self) -> float:
        """The temperature now."""
        return self.temperature_at(self._elapsed_s)

    def temperature_at(self, elapsed_s: float) -> float:
        """Return the temperature so many seconds after the worlds have begun."""
        return self.mean_c - self.swing_k * cos(_OMEGA * (elapsed_s - self._coldest_s))

    def lagging(self, elapsed_s: float, time_constant_s: float) -> float:
        """Return the temperature of what follows this one with a time constant, after all else in
        it has decayed: the same swing, smaller and later."""
        product = _OMEGA * time_constant_s
        phase = _OMEGA * (elapsed_s - self._coldest_s) - atan(product)
        return self.mean_c - self.swing_k / hypot(1.0, product) * cos(phase)

    def step(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._elapsed_s += seconds
        self._show()

    def _show(self) -> None:
        if self._sensor is not None:
            self._sensor.show(self.temperature_c)
