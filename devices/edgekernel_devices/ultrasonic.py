"""An ultrasonic distance sensor with a trigger and an echo line."""

from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from edgekernel import Clock, Device, reading
from edgekernel.hal import DigitalInput, DigitalOutput, Edge, LineOutside, Pull

_TRIGGER_S = 10e-6
_BURST_S = 0.00045
"""From the trigger's end to the rise of the echo line: eight pulses of 40 kHz and some more."""
_LONGEST_S = 0.06
"""After this a sensor has given up; also the least time between two measurements."""


def _sound_mps(air_c: float) -> float:
    """Return the speed of sound in dry air in m/s, to 0.1 % from -20 to 50 °C."""
    return 331.3 + 0.606 * air_c


class UltrasonicTarget:
    """What a simulated sensor sees, and the sensor: answers each trigger with an echo pulse.

    Set `distance_m` (None: nothing is there) and `air_c`.
    """

    def __init__(self) -> None:
        self.distance_m: float | None = 1.0
        self.air_c = 20.0

    def wire(self, lines: dict[str, LineOutside], clock: Clock) -> None:
        """Take the lines of the board: the sensor hears `trigger` and drives `echo`."""
        self._clock = clock
        self._echo = lines["echo"]
        self._echo.drive(False)
        lines["trigger"].watch(self._triggered)

    def _triggered(self, level: bool) -> None:
        if not level:
            self._clock.Thread(self._answer, "ultrasonic:echo").start()

    def _answer(self) -> None:
        echo_s = _LONGEST_S if self.distance_m is None else self._echo_s(self.distance_m)
        self._clock.sleep(_BURST_S)
        self._echo.drive(True)
        self._clock.sleep(min(echo_s, _LONGEST_S))
        self._echo.drive(False)

    def _echo_s(self, distance_m: float) -> float:
        return 2 * distance_m / _sound_mps(self.air_c)


class Ultrasonic(Device):
    """An ultrasonic distance sensor: HC-SR04, JSN-SR04T and others with trigger and echo.

    Wiring: TRIG to `trigger`; ECHO to `echo` through a divider (1 kilohm to the line, 2 kilohm from
    there to ground), since it gives 5 V; VCC to 5 V, GND. An HC-SR04P on 3.3 V needs no divider.

    `trigger` and `echo` are the lines. `air` is the temperature in °C that the speed of sound is
    computed for: 10 °C off are 2 % off. `nearest` and `farthest` are the limits in metres between
    which an echo is believed: 0.02 and 4 for the HC-SR04, 0.25 and 4.5 for the JSN-SR04T.

    Reading `distance` in metres, to the face that is hit at a right angle. When nothing answers
    in range it is BAD with the reason. The echo is timed by the edges' time stamps: what the kernel
    or, without its time stamps, this program is late with is 17 cm a millisecond, so use a `median`
    filter.

    Times: HC-SR04 user's manual (Elecfreaks), "Timing diagram"; at most one measurement in 60 ms.
    """

    simulated: ClassVar[type[UltrasonicTarget]] = UltrasonicTarget

    distance = reading(float, unit="m", range=(0, 10), precision=3, device_class="distance")

    def __init__(
        self,
        id: str,
        *,
        trigger: DigitalOutput,
        echo: DigitalInput,
        air: Annotated[float, Ge(-40), Le(85)] = 20.0,
        nearest: Annotated[float, Ge(0)] = 0.02,
        farthest: Annotated[float, Gt(0), Le(10)] = 4.0,
    ) -> None:
        super().__init__(id)
        self._trigger, self._echo = trigger, echo
        self._mps = _sound_mps(air)
        self._nearest_m, self._farthest_m = nearest, farthest

    def connect(self) -> None:
        """Claim the lines."""
        self._ended = self.clock.Event()
        self._rose_ns: int | None = None
        self._echo_ns = 0
        self._trigger.open(False)
        self._echo.open(Pull.DOWN, self._on_edge)

    def disconnect(self) -> None:
        """Give the lines back."""
        try:
            self._echo.close()
        finally:
            self._trigger.close()

    def poll(self) -> None:
        """Measure once."""
        if self._echo.read():
            raise OSError(f"{self._echo.name}: the echo line is high before the trigger")
        self._rose_ns = None
        self._ended.clear()
        self._trigger.write(True)
        self.clock.sleep(_TRIGGER_S)
        self._trigger.write(False)
        if not self._ended.wait(2 * _LONGEST_S):
            raise TimeoutError(f"{self._echo.name}: no echo pulse: check wiring and supply")
        distance_m = self._echo_ns / 1e9 * self._mps / 2
        if self._nearest_m <= distance_m <= self._farthest_m:
            self.distance.update(distance_m)
        else:
            self.distance.fail(f"no echo between {self._nearest_m:g} m and {self._farthest_m:g} m")

    def _on_edge(self, edge: Edge) -> None:
        if edge.level:
            self._rose_ns = edge.monotonic_ns
        elif self._rose_ns is not None:
            self._echo_ns = edge.monotonic_ns - self._rose_ns
            self._ended.set()
