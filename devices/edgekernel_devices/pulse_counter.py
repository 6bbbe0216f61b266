"""A meter that gives pulses: water, gas, electricity, rain, wind, flow."""

from collections import deque
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Unit

from edgekernel import Device, command, reading
from edgekernel.hal import DigitalInput, Edge, Pull

_KEPT = 1000


class PulseCounter(Device):
    """A meter that gives a pulse for each portion of what it measures.

    Wiring: the meter's contact or open collector between the line and ground, with the line's own
    pull-up (the defaults). A Hall sensor supplied with 5 V needs an open collector or a divider.

    `pin` is the line. `pull` is the resistor that holds it. `edge` says which change counts:
    "falling", "rising" or "both". `settle` is how long, in seconds from 0 to 1, a level must last
    to count: 0.005 to 0.05 for reed contacts, 0 for electronic outputs, some thousand a second at
    most. `per_pulse` is what one pulse is worth. `window` is the time, in seconds, over which the
    rate is averaged: that between the first and the last pulse in it.

    Readings: `count` of the pulses since the start or the last `reset`, `total`, which is the count
    times `per_pulse`, and `rate`, `total` per second; it falls to 0 as the next pulse stays away.
    For a flow meter of 450 pulses per litre, `per_pulse = 0.00222` gives litres and litres per
    second.
    """

    count = reading(int, counts_up=True)
    total = reading(float, precision=3, counts_up=True)
    rate = reading(float, precision=3)

    def __init__(
        self,
        id: str,
        *,
        pin: DigitalInput,
        pull: Literal["up", "down", "none"] = "up",
        edge: Literal["falling", "rising", "both"] = "falling",
        settle: Annotated[float, Unit("s"), Ge(0), Le(1)] = 0.005,
        per_pulse: Annotated[float, Gt(0)] = 1.0,
        window: Annotated[float, Unit("s"), Gt(0), Le(3600)] = 10.0,
    ) -> None:
        super().__init__(id)
        self._pin = pin
        self._pull = Pull(pull)
        self._counted = {"falling": (False,), "rising": (True,), "both": (False, True)}[edge]
        self._settle_s = settle
        self._per_pulse = per_pulse
        self._window_ns = round(window * 1e9)

    def connect(self) -> None:
        """Claim the line and begin to count."""
        self._lock = self.clock.Lock()  # around the variables below, never around handlers
        self._count = 0
        self._times_ns: deque[int] = deque(maxlen=_KEPT)
        self._pin.open(self._pull, self._on_edge, settle_s=self._settle_s)
        self.poll()

    def disconnect(self) -> None:
        """Give the line back."""
        self._pin.close()

    def poll(self) -> None:
        """Report the count and the rate."""
        self._pin.read()  # an input that fails, such as one of an expander, shows here
        now_ns = self.clock.monotonic_ns()
        with self._lock:
            count, rate = self._count, self._rate(now_ns)
        self.count.update(count)
        self.total.update(count * self._per_pulse)
        self.rate.update(rate * self._per_pulse)

    @command
    def reset(self) -> None:
        """Begin to count at 0."""
        with self._lock:
            self._count = 0
        self.poll()

    def _on_edge(self, edge: Edge) -> None:
        if edge.level in self._counted:
            with self._lock:
                self._count += 1
                self._times_ns.append(edge.monotonic_ns)

    def _rate(self, now_ns: int) -> float:
        """Return the pulses per second, from the times between those in the window."""
        times = self._times_ns
        while len(times) > 1 and times[1] < now_ns - self._window_ns:
            times.popleft()  # one before the window is kept: slow meters have no two inside it
        if len(times) < 2:
            return 0.0
        between_ns = (times[-1] - times[0]) / (len(times) - 1)
        # While the next one stays away the rate cannot be above one in the time since the last.
        return 1e9 / max(between_ns, now_ns - times[-1], 1)
