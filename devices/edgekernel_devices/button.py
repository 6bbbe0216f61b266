"""A push button or switch on one line, debounced."""

from typing import Annotated, Literal

from annotated_types import Ge, Le

from edgekernel import Device, Message, reading
from edgekernel.hal import DigitalInput, Edge, Pull

_ON_ITS_WAY_NS = 50_000_000  # longer than an edge takes from the kernel to here


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
    the reading as it was. Polls between the edges find edges that got lost on the way.

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
        debounce: Annotated[float, Ge(0), Le(1)] = 0.02,
    ) -> None:
        super().__init__(id)
        self._pin = pin
        self._pull = Pull(pull)
        self._active_low = active_low
        self._debounce_ns = round(debounce * 1e9)

    def connect(self) -> None:
        """Claim the line; what it is at now is no change."""
        self._lock = self.clock.Lock()  # around the few variables below, never around handlers
        with self._lock:  # an edge that comes now waits until they are there
            self._pin.open(self._pull, self._on_edge)
            self._now = self._settled = self._told = self._read()
            self._since_ns = self.clock.monotonic_ns()
            self._untold = 0  # settled changes not told yet; they alternate, so a count will do
            self._telling = False
            self._missed_edge = False
        self.pressed.update(self._told)

    def disconnect(self) -> None:
        """Give the line back."""
        self._pin.close()

    def poll(self) -> None:
        """Tell what has settled since the last edge, and find an edge that got lost."""
        now_ns = self.clock.monotonic_ns()  # before the read: the level was this then or later
        pressed = self._read()
        with self._lock:
            if pressed == self._now:
                self._missed_edge = False
                self._settle(now_ns)
                if self._now != self._settled:  # such as an edge before anything polled
                    self.poll_at(self._since_ns + self._debounce_ns)
            elif self._missed_edge:
                self._change(pressed, now_ns)
            else:
                self._missed_edge = True  # or it is on its way: look again soon
                self.poll_at(now_ns + max(self._debounce_ns, _ON_ITS_WAY_NS))
        self._tell()
        if not self.online:
            self.pressed.update(self._told)

    def _on_edge(self, edge: Edge) -> None:
        with self._lock:
            self._settle(edge.monotonic_ns)
            self._change(edge.level != self._active_low, edge.monotonic_ns)
        self._tell()

    def _change(self, pressed: bool, at_ns: int) -> None:
        self._now, self._since_ns, self._missed_edge = pressed, at_ns, False
        self._settle(at_ns)  # with no debounce time it has settled already
        if self._now != self._settled:
            self.poll_at(at_ns + self._debounce_ns)

    def _settle(self, until_ns: int) -> None:
        if self._now != self._settled and until_ns - self._since_ns >= self._debounce_ns:
            self._settled = self._now
            self._untold += 1

    def _tell(self) -> None:
        """Tell the settled changes in order; who comes meanwhile leaves theirs to this one."""
        with self._lock:
            if self._telling:
                return
            self._telling = True
        while True:
            with self._lock:
                if self._untold == 0:
                    self._telling = False
                    return
                self._untold -= 1
                self._told = pressed = not self._told
            self.pressed.update(pressed)
            self.ctx.emit((ButtonPressed if pressed else ButtonReleased)(self.id))

    def _read(self) -> bool:
        return self._pin.read() != self._active_low
