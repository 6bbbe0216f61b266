"""A light-emitting diode on one line."""

from typing import Literal

from edgekernel import Device, output
from edgekernel.hal import DigitalOutput


class Led(Device):
    """A light-emitting diode, lit or dark, on one line.

    Wiring: line, resistor, LED, ground; with `active_high = false`: 3.3 V, resistor, LED, line.
    330 ohm gives 4 mA through a red LED (3.3 V less 2.0 V); a line drives at most 16 mA
    (Raspberry Pi 4) or 12 mA (5).

    `pin` is the line. `active_high` says which level lights it: True is high. `safe` is the
    state at start, stop and failure, "off" or "on".

    Output `light`: on or off; its readback is the level that the pin really has.

    The line's levels and currents: Raspberry Pi documentation, "GPIO and the 40-pin header".
    """

    light = output(bool, safe=False, device_class="light")

    def __init__(
        self,
        id: str,
        *,
        pin: DigitalOutput,
        active_high: bool = True,
        safe: Literal["off", "on"] = "off",
    ) -> None:
        super().__init__(id)
        self._pin = pin
        self._active_high = active_high
        self.light.safe = safe == "on"

    def connect(self) -> None:
        """Claim the line at the level it begins with."""
        on = self.light.initial
        self._pin.open(None if on is None else on == self._active_high)

    def disconnect(self) -> None:
        """Give the line back, at the level it has."""
        self._pin.close()

    @light.drive
    def switch(self, on: bool) -> bool:
        """Drive the line; return what the pin's level says."""
        self._pin.write(on == self._active_high)
        return self.is_on()

    @light.read
    def is_on(self) -> bool:
        """Return what the pin's level says."""
        return self._pin.read() == self._active_high
