"""A contact that opens or closes with a door, a window, a lid or a float."""

from typing import Annotated, Literal

from annotated_types import Ge, Le, Unit

from edgekernel import Device, reading
from edgekernel.hal import DigitalInput, Edge, Pull


class Contact(Device):
    """A reed contact, end switch, float switch or any other contact on one line.

    Wiring: line, contact, ground, with the line's own pull-up (the defaults). For cables of more
    than a few metres add an external pull-up of 1 to 4.7 kilohm to 3.3 V, with `pull = "none"`:
    the line's own has some 50 kilohm and picks up what runs beside it.

    `pin` is the line. `pull` is the resistor that holds the line while the contact is open: "up",
    "down" or "none" (an external one). `active_low` says that a closed contact pulls the line
    low. `settle` is how long, in seconds from 0 to 10, a level must last to count.

    Reading `open`: true while the circuit is open. A reed contact at a door is closed by the
    magnet while the door is closed. So a cut cable looks like an open door: put contacts on
    which something depends so that "closed" is the state that is sound.

    The pull-ups' resistance: Raspberry Pi documentation, "GPIO and the 40-pin header".
    """

    every = 10.0

    open = reading(bool, device_class="opening")

    def __init__(
        self,
        id: str,
        *,
        pin: DigitalInput,
        pull: Literal["up", "down", "none"] = "up",
        active_low: bool = True,
        settle: Annotated[float, Unit("s"), Ge(0), Le(10)] = 0.05,
    ) -> None:
        super().__init__(id)
        self._pin = pin
        self._pull = Pull(pull)
        self._active_low = active_low
        self._settle_s = settle

    def connect(self) -> None:
        """Claim the line and read it."""
        self._pin.open(self._pull, self._on_edge, settle_s=self._settle_s)
        self.poll()

    def disconnect(self) -> None:
        """Give the line back."""
        self._pin.close()

    def poll(self) -> None:
        """Read the line: an input that fails, such as one of an expander, shows here."""
        self._report(self._pin.read())

    def _on_edge(self, edge: Edge) -> None:
        self._report(edge.level)

    def _report(self, level: bool) -> None:
        self.open.update(level == self._active_low)
