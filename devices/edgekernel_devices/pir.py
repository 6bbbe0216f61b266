"""A passive infrared motion detector."""

from typing import Annotated, Literal

from annotated_types import Ge, Le, Unit

from edgekernel import Device, Quality, reading
from edgekernel.hal import DigitalInput, Edge, Pull


class PIR(Device):
    """A passive infrared motion detector (HC-SR501, AM312, Panasonic EKMC, ...) on one line.

    Wiring: OUT to the line, supply and ground by the module's datasheet. The HC-SR501 takes 4.5
    to 20 V and its OUT is 3.3 V: it needs no divider.

    `pin` is the line. `active_high` says that motion means high. `pull` is the resistor that holds
    the line: "down" suits open-collector outputs of active-high detectors, "none" those that drive
    both levels. `warm_up` is how long after the start, in seconds from 0 to 300, the detector
    cannot be trusted: the HC-SR501 gives false alarms in the first minute after power-on.

    Reading `motion`. While the detector warms up it is UNCERTAIN. How long it stays true after a
    movement is set at the module; ask for longer with a `delayed_off` filter.
    """

    every = 10.0

    motion = reading(bool, device_class="motion")

    def __init__(
        self,
        id: str,
        *,
        pin: DigitalInput,
        active_high: bool = True,
        pull: Literal["up", "down", "none"] = "down",
        warm_up: Annotated[float, Unit("s"), Ge(0), Le(300)] = 60.0,
    ) -> None:
        super().__init__(id)
        self._pin = pin
        self._active_high = active_high
        self._pull = Pull(pull)
        self._warm_up_s = warm_up

    def connect(self) -> None:
        """Claim the line; from now on the detector warms up."""
        self._warm_ns = self.clock.monotonic_ns() + round(self._warm_up_s * 1e9)
        self._pin.open(self._pull, self._on_edge)
        self.poll()

    def disconnect(self) -> None:
        """Give the line back."""
        self._pin.close()

    def poll(self) -> None:
        """Read the line: an input that fails shows here, and so does the end of the warm-up."""
        self._report(self._pin.read())
        if self.clock.monotonic_ns() < self._warm_ns:
            self.poll_at(self._warm_ns)

    def _on_edge(self, edge: Edge) -> None:
        self._report(edge.level)

    def _report(self, level: bool) -> None:
        if self.clock.monotonic_ns() < self._warm_ns:
            self.motion.update(
                level == self._active_high, quality=Quality.UNCERTAIN, reason="warming up"
            )
        else:
            self.motion.update(level == self._active_high)
