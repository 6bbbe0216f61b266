"""The simulated pins as a pin factory of gpiozero: `GPIOZERO_PIN_FACTORY=edgekernel-sim`."""

from __future__ import annotations

import os

from gpiozero import BadPinFactory
from gpiozero.pins.mock import MockSPIInterface, MockSPIInterfaceShared

from edgekernel.backends.sim.pins import SimFactory
from edgekernel.core.clock import NANOSECONDS, SystemClock

WIRES = "EDGEKERNEL_SIM_WIRES"
"""The environment variable with the jumper wires, such as "GPIO22-GPIO27,GPIO5-GPIO6"."""


class GpiozeroSimFactory(SimFactory):
    """A factory for programs that use gpiozero directly, on real time."""

    def __init__(self) -> None:
        """Make the pins that the environment wires together. Raises BadPinFactory."""
        super().__init__(SystemClock())
        for wire in filter(None, os.environ.get(WIRES, "").split(",")):
            ends = wire.split("-")
            if len(ends) != 2:
                raise BadPinFactory(f"{WIRES}: {wire!r} is no wire; write GPIO22-GPIO27")
            first, second = (self.pin(end.strip()) for end in ends)
            first.net.join(second.net)

    def stamp(self) -> float:
        """Return the time of an edge as gpiozero wants it, in seconds."""
        return self.ticks()

    def ticks(self) -> float:
        """Return the time that `stamp` and `ticks_diff` count in."""
        return self.clock.monotonic_ns() / NANOSECONDS

    def ticks_diff(self, later: float, earlier: float) -> float:
        """Return the seconds between two times."""
        return later - earlier

    def _get_spi_class(self, shared: bool, hardware: bool) -> type:
        """Return gpiozero's SPI on bare pins: the simulated ones have no hardware for it."""
        return MockSPIInterfaceShared if shared else MockSPIInterface
