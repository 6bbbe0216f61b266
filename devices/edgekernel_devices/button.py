"""A push button or switch on one line, debounced."""

from typing import Annotated, Literal

from annotated_types import Ge, Le, Unit

from edgekernel import Device, Message, batch, reading
from edgekernel.hal import DigitalInput, Edge, Pull


class ButtonPressed(Message):
    """The button went down and stayed down for the debounce time."""

    name = "button.pressed"
    device: str


class ButtonReleased(Message):
    """The button came up and stayed up for the debounce time."""

    name = "button.released"
    device: str


class Button(Device):
    """A push button or switch between one line and ground, or one line and 3.3 V.

    Wiring: line, button, ground, with the line's own pull-up (the defaults); or line, button,
    3.3 V with `pull = "down"` and `active_low = false`.

    `pin` is the line. `pull` is the resistor that holds the line while the button is open: "up",
    "down" or "none" (an external one). `active_low` says that pressed means low. `debounce` is
    how long, in seconds from 0 to 1, a level must last to count; contacts bounce for 1 to 10 ms.
    With 0 every edge counts, at once.

    Reading `pressed`. Each change of the debounced state is also told as a ButtonPressed or
    ButtonReleased, one after the other and each once; the state at start is told by the reading
    only. Stability is judged by the times of the edges, so that no press longer than `debounce`
    is missed. Count presses by the messages: a press and its release that are told together leave
    the reading as it was. With a debounce time, polls between the edges find edges that got lost
    on the way.

    Bounce times: J. Ganssle, "A Guide to Debouncing" (2004).
    """

    every = 10.0

    pressed = reading(bool)

    def __init__(
        self,
        id: str,
        *,
        pin: DigitalInput,
        pull: Literal["up", "down", "none"] = "up",
        active_low: bool = True,
        debounce: Annotated[float, Unit("s"), Ge(0), Le(1)] = 0.02,
    ) -> None:
        super().__init__(id)
        self._pin = pin
        self._pull = Pull(pull)
        self._active_low = active_low
        self._debounce_s = debounce

    def connect(self) -> None:
        """Claim the line; what it is at now is no change."""
        self._lock = self.clock.Lock()  # around `_told`, never around handlers
        with self._lock:  # an edge that comes now waits until `_told` is there
            self._pin.open(self._pull, self._on_edge, settle_s=self._debounce_s)
            self._told = self._pin.read() != self._active_low
        self.pressed.update(self._told)

    def disconnect(self) -> None:
        """Give the line back."""
        self._pin.close()

    def poll(self) -> None:
        """Read the line, which makes the boundary find an edge that got lost."""
        self._pin.read()
        with batch(), self._lock:  # what depends on the reading runs after the lock is released
            self.pressed.update(self._told)

    def _on_edge(self, edge: Edge) -> None:
        pressed = edge.level != self._active_low
        with self._lock:
            if pressed == self._told:
                return  # without a debounce time: the edge between the two got lost
            self._told = pressed
        self.pressed.update(pressed)
        self.ctx.emit((ButtonPressed if pressed else ButtonReleased)(self.id))
