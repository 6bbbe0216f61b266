"""Ways to free an I²C bus on which a chip holds SDA low (UM10204, section 3.1.16).

The specification asks for nine clocks on SCL, and if that does not help for a power cycle. On Linux
SCL and SDA belong to the I²C controller, and only its kernel driver can clock them: it does so by
itself when a transfer fails, if the device tree names its lines as GPIOs (`scl-gpios`, `sda-gpios`;
Linux, Documentation/devicetree/bindings/i2c). What is here is for a bus whose driver does not: it
needs lines of its own. A node file names them in `[buses.<name>.recovery]`.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from edgekernel.core.clock import Clock
from edgekernel.hal.gpio import DigitalInput, DigitalOutput, Pull

_HALF_CLOCK_S = 5e-6
"""Half a period at 100 kHz."""
_CLOCKS = 9
"""The rest of any byte and its acknowledge (UM10204, section 3.1.16)."""


class Recovery(Protocol):
    """What is tried when a bus is stuck and opening it anew did not help."""

    def free_bus(self) -> None:
        """Do what may make the chips let go of the lines. Raises BoundaryError if it cannot."""
        ...


@runtime_checkable
class Recoverable(Protocol):
    """A bus that can be given a way to free it."""

    def use_recovery(self, recovery: Recovery | None) -> None:
        """Try this when the bus is stuck and opening it anew did not help."""
        ...


class OpenDrain:
    """A line that is pulled low or let go, never driven high: both boundaries are on that line."""

    def __init__(self, output: DigitalOutput, input: DigitalInput) -> None:
        self._output = output
        self._input = input

    def pull_low(self) -> None:
        """Drive the line low."""
        self._input.close()
        self._output.open(False)

    def let_go(self) -> bool:
        """Let the pull-up resistor have the line; return its level."""
        self._output.close()
        self._input.close()
        self._input.open(Pull.UP)
        return self._input.read()

    def close(self) -> None:
        """Give the line back."""
        self._output.close()
        self._input.close()


class NineClocks:
    """Nine clocks and a stop condition, on two spare GPIO lines that are wired to SCL and SDA.

    Not on the pins of the I²C controller: claimed as GPIOs they would not be given back to it.
    """

    def __init__(self, scl: OpenDrain, sda: OpenDrain, clock: Clock) -> None:
        self._scl = scl
        self._sda = sda
        self._clock = clock

    def free_bus(self) -> None:
        """Clock until the data line is free, nine times at most, then send a stop condition."""
        try:
            for _ in range(_CLOCKS):
                self._pulse()
                if self._sda.let_go():
                    break
            self._scl.pull_low()
            self._sda.pull_low()
            self._clock.sleep(_HALF_CLOCK_S)
            self._scl.let_go()
            self._clock.sleep(_HALF_CLOCK_S)
            self._sda.let_go()
        finally:
            self._scl.close()
            self._sda.close()

    def _pulse(self) -> None:
        self._scl.pull_low()
        self._clock.sleep(_HALF_CLOCK_S)
        self._scl.let_go()
        self._clock.sleep(_HALF_CLOCK_S)


class PowerCycle:
    """Takes the power from the chips for a moment, through a line that switches it.

    The bus needs pull-ups on the switched side, or the chips are fed through their inputs.
    """

    def __init__(
        self, line: DigitalOutput, clock: Clock, *, active_high: bool = True, off_s: float = 0.1
    ) -> None:
        """Use an open line. Chips are without power for `off_s` seconds, and then have as long."""
        self._line = line
        self._clock = clock
        self._on = active_high
        self._off_s = off_s

    def open(self) -> None:
        """Claim the line and give the chips power; wait until they have started if they had none.

        Raises BusyError, BrokenError.
        """
        self._line.open(None)
        if self._line.read() != self._on:
            self._line.write(self._on)
            self._clock.sleep(self._off_s)

    def free_bus(self) -> None:
        """Switch off, wait, switch on, and wait until the chips have started."""
        self._line.write(not self._on)
        try:
            self._clock.sleep(self._off_s)
        finally:
            self._line.write(self._on)
        self._clock.sleep(self._off_s)

    def close(self) -> None:
        """Give the line back; the chips keep their power. Closing twice is harmless."""
        self._line.close()
