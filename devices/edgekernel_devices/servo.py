"""A hobby servo: an angle, told by the length of a pulse."""

from typing import Annotated

from annotated_types import Ge, Gt, Le, Unit

from edgekernel import ConfigError, Device, output
from edgekernel.hal import PwmOutput

_SPAN = 90.0


class Servo(Device):
    """A hobby servo (SG90, MG996R, ...) that turns to the angle its pulses say.

    Wiring: signal to the line, supply of 4.8 to 6 V from its own source (a small servo that is held
    draws 0.7 A), its ground joined with the board's.

    `pin` is the line; use one with hardware PWM: pulses from software (`software = true`) jitter by
    some degrees. `pulse_low` and `pulse_high` are the lengths, in seconds, that turn it to -90° and
    +90°: 1 ms and 2 ms by convention, on many servos nearer to 0.5 ms and 2.5 ms; find them with
    care, a servo that is driven against its stop burns out. `frequency` is how often a pulse is
    sent: 50 Hz for analog servos. `safe` is the angle at stop and failure; without it the pulses
    end there, and a servo without pulses is limp.

    Output `angle` in degrees from -90 to 90. At start nothing moves: there are no pulses before
    the first set, unless there is a `safe` angle.

    Pulse lengths and rate: TowerPro SG90 datasheet; Hitec, "General servo information".
    """

    angle = output(float, safe=None, unit="°", range=(-_SPAN, _SPAN), precision=1)

    def __init__(
        self,
        id: str,
        *,
        pin: PwmOutput,
        pulse_low: Annotated[float, Unit("s"), Ge(0.0003), Le(0.003)] = 0.001,
        pulse_high: Annotated[float, Unit("s"), Ge(0.0003), Le(0.003)] = 0.002,
        frequency: Annotated[float, Gt(0), Le(333)] = 50.0,
        software: bool = False,
        safe: Annotated[float, Ge(-90), Le(90)] | None = None,
    ) -> None:
        super().__init__(id)
        if pulse_low == pulse_high:
            raise ConfigError("pulse_low and pulse_high are equal: no angle differs from another")
        if max(pulse_low, pulse_high) * frequency >= 1:
            raise ConfigError(
                f"a pulse of {max(pulse_low, pulse_high):g} s does not fit into a period at "
                f"{frequency:g} Hz; lower frequency"
            )
        self._pin = pin
        self._pulse_low_s, self._pulse_high_s = pulse_low, pulse_high
        self._frequency_hz = frequency
        self.angle.safe = safe

    def connect(self) -> None:
        """Claim the line, without pulses unless there is an angle to begin with."""
        angle = self.angle.initial
        self._pin.open(self._frequency_hz, 0.0 if angle is None else self._duty(angle))

    def disconnect(self) -> None:
        """End the pulses and give the line back."""
        self._pin.close()

    @angle.drive
    def turn(self, degrees: float) -> float:
        """Send pulses for an angle; return it. Whether the servo got there nobody can know."""
        self._pin.write(self._duty(degrees))
        return degrees

    def _duty(self, degrees: float) -> float:
        share = (degrees + _SPAN) / (2 * _SPAN)
        pulse_s = self._pulse_low_s + share * (self._pulse_high_s - self._pulse_low_s)
        return pulse_s * self._frequency_hz
