"""A direct-current motor behind an H-bridge: speed and direction."""

from typing import Annotated

from annotated_types import Ge, Gt, Le, Unit

from edgekernel import Device, output
from edgekernel.hal import DigitalOutput, PwmOutput


class Motor(Device):
    """A direct-current motor behind an H-bridge with two inputs (DRV8833, L298N, TB6612, ...).

    Wiring: the bridge's inputs (IN1 and IN2, or AIN1 and AIN2) to `forward` and `backward`, its
    logic supply to 3.3 V if it has one, its motor supply to a source that can start the motor. The
    L298N loses about 2 V. An enable or standby input goes to 3.3 V or to `enable`.

    `forward` and `backward` are lines for pulses, best with hardware PWM on both; `software` allows
    pulses made by the processor. `frequency` in Hz: 20,000 cannot be heard, software reaches 1000
    well. `enable` is a line that is high while the motor may turn. `dead_time` is how long, in
    seconds from 0 to 1, both inputs are off before the direction changes, so that the motor and
    its gear are not reversed at full speed.

    Output `speed` from -1 (full speed backward) to 1; 0 lets the motor run out, and is the safe
    value. Never are both inputs on at the same time.

    Inputs and currents: Texas Instruments DRV8833 (SLVSAR1E, section 7.3.2), ST L298 datasheet.
    """

    speed = output(float, safe=0.0, range=(-1, 1), precision=2)

    def __init__(
        self,
        id: str,
        *,
        forward: PwmOutput,
        backward: PwmOutput,
        enable: DigitalOutput | None = None,
        frequency: Annotated[float, Gt(0), Le(100_000)] = 1000.0,
        software: bool = False,
        dead_time: Annotated[float, Unit("s"), Ge(0), Le(1)] = 0.05,
    ) -> None:
        super().__init__(id)
        self._forward, self._backward = forward, backward
        self._enable = enable
        self._frequency_hz = frequency
        self._dead_time_s = dead_time
        self._direction = 0

    def connect(self) -> None:
        """Claim the lines, with the motor off."""
        self._direction = 0
        self._forward.open(self._frequency_hz, 0.0)
        self._backward.open(self._frequency_hz, 0.0)
        if self._enable is not None:
            self._enable.open(False)

    def disconnect(self) -> None:
        """Give the lines back, with the motor off."""
        if self._enable is not None:
            self._enable.close()
        self._backward.close()
        self._forward.close()

    @speed.drive
    def turn(self, speed: float) -> float:
        """Turn at a share of full speed; return it. Nobody can know how fast the motor is."""
        direction = (speed > 0) - (speed < 0)
        if direction != self._direction:
            self._rest(reverses=direction * self._direction < 0)
        if direction:
            if self._enable is not None:
                self._enable.write(True)
            self._direction = direction  # before the pulses: what fails now must be ended
            (self._forward if direction > 0 else self._backward).write(abs(speed))
        return speed

    def _rest(self, *, reverses: bool) -> None:
        """Switch both inputs off, even if the first one fails."""
        try:
            self._forward.write(0.0)
        finally:
            self._backward.write(0.0)
        if self._enable is not None:
            self._enable.write(False)
        self._direction = 0
        if reverses:
            self.clock.sleep(self._dead_time_s)
