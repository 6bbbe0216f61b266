"""The world of the greenhouse: the heater warms the room, the vent cools it, the day passes."""

from __future__ import annotations

from math import cos, pi

from edgekernel.sim import Bench

DAY = 86400.0  # seconds
COLDEST_AT = 4 * 3600.0  # seconds after the start of the day

HEATER = 0.060  # °C per second while it is on
CLOSED_LOSS = 1 / 400  # share of the difference to outside that is lost per second
VENT_LOSS = 1 / 60  # the same, added while the vent is open


class Greenhouse:
    """One well-mixed volume of air that exchanges heat with the heater and with outside."""

    step_s = 2.0

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._sensor = bench.chip("room")
        bench.chip("position").interval_s = 60  # power-saving mode
        self._elapsed = 0.0
        self._air = 17.0  # °C

    @property
    def outside(self) -> float:
        """The temperature outside in °C: 4 at night, 26 in the afternoon."""
        return 15.0 - 11.0 * cos(2 * pi * (self._elapsed - COLDEST_AT) / DAY)

    def step(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._elapsed += seconds
        heating = HEATER if self._bench.is_on("heater") else 0.0
        loss = CLOSED_LOSS + (VENT_LOSS if self._bench.is_on("vent") else 0.0)
        self._air += seconds * (heating + loss * (self.outside - self._air))
        self._sensor.temperature_c = self._air
        self._sensor.humidity_percent = 60.0 - 1.5 * (self._air - 20.0)
