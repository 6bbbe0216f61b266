"""A load whose mean power is set by pulses: a lamp, a fan, a heater, a valve."""

from typing import Annotated

from annotated_types import Ge, Gt, Le

from edgekernel import ConfigError, Device, output
from edgekernel.hal import PwmOutput as Pulses


class PwmOutput(Device):
    """A load whose mean power is set by pulses, through a transistor or a driver module.

    Wiring: line, gate resistor (100 ohm), gate of a logic-level MOSFET that 3.3 V opens, the load
    in its drain; a flyback diode across motors, valves and coils. A line drives at most 16 mA
    (Raspberry Pi 4) or 12 mA (5) itself.

    `pin` is the line. `frequency` in Hz: 100 to 1000 for lamps, 25,000 for the control input of a
    four-wire fan (Intel, "4-Wire PWM Controlled Fans Specification", revision 1.3, section 2.4),
    1 and below for heaters. `active_high` says that the load has power while the line is high.
    Without pulses the line is low: a load with `active_high = false` has full power before the
    start and after the end, so its `safe` has to be 1. `software` allows pulses made by the
    processor where the line has no hardware timer (at most 10 kHz, with jitter). `safe` is the
    level at start, stop and failure.

    Output `level`: the share of full power, 0 to 1.

    The line's currents: Raspberry Pi documentation, "GPIO and the 40-pin header".
    """

    level = output(float, safe=0.0, range=(0, 1), precision=3)

    def __init__(
        self,
        id: str,
        *,
        pin: Pulses,
        frequency: Annotated[float, Gt(0), Le(10_000_000)] = 200.0,
        active_high: bool = True,
        software: bool = False,
        safe: Annotated[float, Ge(0), Le(1)] = 0.0,
    ) -> None:
        super().__init__(id)
        if not active_high and safe != 1:
            raise ConfigError(
                "without pulses the line is low, at which this load has full power "
                "(active_high = false): write safe = 1 if that is safe, or invert it in hardware"
            )
        self._pin = pin
        self._frequency_hz = frequency
        self._active_high = active_high
        self.level.safe = safe

    def connect(self) -> None:
        """Claim the line at the level that it begins with."""
        level = self.level.initial
        assert level is not None, "it has a safe level, and cannot be read"
        self._pin.open(self._frequency_hz, self._duty(level))

    def disconnect(self) -> None:
        """Give the line back."""
        self._pin.close()

    @level.drive
    def dim(self, level: float) -> float:
        """Set the share of each period in which the load has power; return it."""
        self._pin.write(self._duty(level))
        return level

    def _duty(self, level: float) -> float:
        return level if self._active_high else 1 - level
