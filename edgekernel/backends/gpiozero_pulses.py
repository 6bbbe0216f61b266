"""Pulses on gpiozero pins: in simulation, and where the processor makes them."""

from __future__ import annotations

from edgekernel.backends.gpiozero_lines import GpiozeroLine, Lines
from edgekernel.core.errors import ConfigError, InvalidValueError
from edgekernel.hal.address import LineAddress, PwmAddress

SOFTWARE_HZ = (0.1, 10_000.0)
"""What the processor can make (lgpio, tx_pwm)."""

HARDWARE_HZ = (0.25, 100_000_000.0)
"""What Linux can tell a hardware timer: a period of 32 bits of nanoseconds, in steps that leave
some room for a duty. The timer itself may allow less."""


def check_pulses_possible(address: PwmAddress, software: bool) -> None:
    """Raise ConfigError if a line has no hardware timer and software pulses are not allowed."""
    if not address.controller and not software:
        raise ConfigError(
            f"{address.name}: no hardware timer can make pulses on this line. Choose a line with "
            "hardware PWM, or allow software pulses, which jitter (software = true)"
        )


def check_frequency(name: str, frequency_hz: float, hardware: bool) -> None:
    """Raise InvalidValueError for a frequency that cannot be made."""
    lowest, highest = HARDWARE_HZ if hardware else SOFTWARE_HZ
    if not lowest <= frequency_hz <= highest:
        raise InvalidValueError(
            f"{name}: pulses of {frequency_hz:g} Hz; "
            f"{'hardware' if hardware else 'software'} makes {lowest:g} to {highest:g} Hz"
        )


def check_duty(name: str, duty: float) -> None:
    """Raise InvalidValueError unless `duty` is a share, 0 to 1."""
    if not 0 <= duty <= 1:
        raise InvalidValueError(f"{name}: a duty of {duty:g}; it is from 0 (low) to 1 (high)")


def timer_line(address: PwmAddress) -> LineAddress:
    """Return a channel of a hardware timer as if it were a line: it too has one user at a time.

    Two lines may lead to the same channel.
    """
    return LineAddress(address.name, address.controller, address.channel)


class GpiozeroPulses(GpiozeroLine):
    """A PwmOutput on a gpiozero pin."""

    def __init__(self, address: PwmAddress, lines: Lines) -> None:
        super().__init__(address.line, lines)
        self._timer = timer_line(address) if address.controller else None
        self._frequency_hz = 0.0

    @property
    def hardware(self) -> bool:
        """Whether a hardware timer makes the pulses."""
        return self._timer is not None

    def open(self, frequency_hz: float, duty: float) -> None:
        """Claim the line, low, and begin with `duty` (0 to 1).

        Raises InvalidValueError for what it cannot make, BusyError if another owner has the line,
        BrokenError if it cannot be had.
        """
        check_frequency(self.name, frequency_hz, self.hardware)
        check_duty(self.name, duty)
        pin = self._lines.take(self._line, self)
        try:
            if self._timer is not None:
                self._lines.reserve(self, self._timer)
            pin.output_with_state(False)
            self._pin = pin
            pin.pulse(frequency_hz, duty)
        except BaseException:
            self._give_back()
            raise
        self._frequency_hz = frequency_hz

    def write(self, duty: float) -> None:
        """Change the share that is high, 0 to 1. Raises ClosedError, BrokenError."""
        check_duty(self.name, duty)
        self._open_pin().pulse(self._frequency_hz, duty)

    def close(self) -> None:
        """Stop the pulses, leaving the line low, and give it back. Closing twice is harmless."""
        if self._pin is not None:
            try:
                self._pin.pulse(0, 0)
            finally:
                self._give_back()

    def _give_back(self) -> None:
        try:
            super().close()
        finally:
            self._lines.give_back(self, self._line, *([self._timer] if self._timer else []))
