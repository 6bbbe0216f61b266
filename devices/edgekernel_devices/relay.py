"""A relay, or anything else that one line switches."""

from typing import Literal

from edgekernel import Device, output
from edgekernel.hal import DigitalOutput


class Relay(Device):
    """A relay module, solid-state relay or MOSFET that one line switches.

    Wiring: the module's IN to the line, its VCC and GND to the board's. Take the module's supply
    from the rail its datasheet names and check that 3.3 V switches it; a bare relay coil needs a
    transistor and a flyback diode: a line drives at most 16 mA (Raspberry Pi 4) or 12 mA (5).

    `pin` is the line. `active_high` says which level switches on: True is high; opto-isolated
    modules with a "low level trigger" want False. `safe` is the state at start, stop and
    failure, "off" or "on". The line goes from input straight to what it begins with.

    Output `power`: on or off; its readback is the level that the pin really has.

    The line's levels and currents: Raspberry Pi documentation, "GPIO and the 40-pin header".
    """

    power = output(bool, safe=False, device_class="switch")

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
        self.power.safe = safe == "on"

    def connect(self) -> None:
        """Claim the line at the level it begins with."""
        on = self.power.initial
        self._pin.open(None if on is None else on == self._active_high)

    def disconnect(self) -> None:
        """Give the line back, at the level it has."""
        self._pin.close()

    @power.drive
    def switch(self, on: bool) -> bool:
        """Drive the line; return what the pin's level says."""
        self._pin.write(on == self._active_high)
        return self.is_on()

    @power.read
    def is_on(self) -> bool:
        """Return what the pin's level says."""
        return self._pin.read() == self._active_high
