"""Digital lines on gpiozero pins: the same two adapters for real and for simulated pins.

gpiozero itself is not imported here. A backend hands in its pins, and these raise edgekernel's
errors and change neither level nor direction before they are told to.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Protocol

from edgekernel.core.clock import Clock
from edgekernel.core.errors import BusyError, ClosedError, of_user_code
from edgekernel.hal.address import LineAddress
from edgekernel.hal.gpio import Edge, Pull

_log = logging.getLogger(__name__)

_PULLS = {Pull.NONE: "floating", Pull.UP: "up", Pull.DOWN: "down"}


class Pin(Protocol):
    """What the adapters use of a gpiozero pin, and what ours have on top of it."""

    state: Any
    when_changed: Any
    """Called with the monotonic time of the edge, in nanoseconds as an int, and the level.

    gpiozero's own pins give seconds, which as floats are too coarse.
    """

    def output_with_state(self, state: bool) -> None:
        """Claim as an output: level before direction."""
        ...

    def output_as_is(self) -> None:
        """Claim as an output at the level that the line has."""
        ...

    def pulse(self, frequency_hz: float, duty: float) -> None:
        """Make pulses on an output, high for the share `duty`; 0 Hz ends them, at low."""
        ...

    def input_with_pull(self, pull: str) -> None:
        """Claim as an input with the pull "floating", "up" or "down"."""
        ...

    def close(self) -> None:
        """Give the line back as it is; harmless if it was not claimed."""
        ...


def pin_fields(offset: int) -> tuple[int, str, frozenset[str], str, int, int, frozenset[str]]:
    """Return the fields of gpiozero's PinInfo for a line of any chip of any board.

    gpiozero's own table knows the header of a Raspberry Pi only. It takes a pin's number from
    the name after "GPIO".
    """
    name = f"GPIO{offset}"
    return offset, name, frozenset({name}), "", 0, 0, frozenset({"gpio"})


class User(Protocol):
    """Who has a line, until it is closed."""

    def close(self) -> None: ...


class Lines:
    """The lines of one machine, each with at most one user at a time."""

    def __init__(self, clock: Clock, find: Callable[[LineAddress], Pin]) -> None:
        """Take pins from `find`; it raises BrokenError for a line that is not there."""
        self._find = find
        self._lock = clock.Lock()
        self._users: dict[tuple[str, int], User] = {}

    def take(self, line: LineAddress, user: User) -> Pin:
        """Hand out the pin of a line; raises BusyError while it has a user."""
        with self._lock:
            self._check_free(line)
            pin = self._find(line)
            self._users[line.chip, line.offset] = user
            return pin

    def reserve(self, user: User, *lines: LineAddress) -> None:
        """Keep lines for who reaches them in another way; BusyError while one has a user."""
        with self._lock:
            for line in lines:
                self._check_free(line)
            for line in lines:
                self._users[line.chip, line.offset] = user

    @property
    def taken(self) -> list[tuple[str, int]]:
        """The lines that have a user, by chip and offset."""
        with self._lock:
            return sorted(self._users)

    def give_back(self, user: User, *lines: LineAddress) -> None:
        """Let the lines be taken again, those that are this user's."""
        with self._lock:
            for line in lines:
                if self._users.get((line.chip, line.offset)) is user:
                    del self._users[line.chip, line.offset]

    def close(self) -> None:
        """Close every line that is open, all of them even if one raises."""
        with ExitStack() as closing:
            for user in dict.fromkeys(self._users.values()):
                closing.callback(user.close)

    def _check_free(self, line: LineAddress) -> None:
        if (line.chip, line.offset) in self._users:
            raise BusyError(
                f"{line.name} on {line.chip}: already open in this process; "
                "a line has one user, so close that one or choose another line"
            )


class GpiozeroLine:
    """What outputs and inputs have in common: a name, a level and an end."""

    def __init__(self, line: LineAddress, lines: Lines) -> None:
        self._line = line
        self._lines = lines
        self._pin: Pin | None = None

    @property
    def name(self) -> str:
        """The line as people know it, such as "GPIO17"."""
        return self._line.name

    def read(self) -> bool:
        """Return the level that the pin has. Raises ClosedError, BrokenError."""
        return bool(self._open_pin().state)

    def close(self) -> None:
        """Give the line back, leaving its level as it is. Closing twice is harmless."""
        pin, self._pin = self._pin, None
        if pin is not None:
            try:
                pin.close()
            finally:
                self._lines.give_back(self, self._line)

    def _open_pin(self) -> Pin:
        if self._pin is None:
            raise ClosedError(f"{self.name} on {self._line.chip}: not open; open it first")
        return self._pin


class GpiozeroOutput(GpiozeroLine):
    """A DigitalOutput on a gpiozero pin."""

    def open(self, level: bool | None) -> None:
        """Claim the line and drive `level`, level before direction; None keeps what it has.

        Raises BusyError if another owner has it, BrokenError if it cannot be had.
        """
        pin = self._lines.take(self._line, self)
        try:
            if level is None:
                pin.output_as_is()
            else:
                pin.output_with_state(level)
        except BaseException:
            self._lines.give_back(self, self._line)
            raise
        self._pin = pin

    def write(self, level: bool) -> None:
        """Drive `level`. Raises ClosedError, BrokenError."""
        self._open_pin().state = level


class GpiozeroInput(GpiozeroLine):
    """An input on a gpiozero pin that tells every edge; `SettledInput` adds the settle time."""

    def __init__(self, line: LineAddress, lines: Lines) -> None:
        super().__init__(line, lines)
        self._on_edge: Callable[[Edge], None] | None = None

    def open(self, pull: Pull, on_edge: Callable[[Edge], None] | None = None) -> None:
        """Claim the line as an input with a pull resistor, and watch it if `on_edge` is given.

        Raises BusyError if another owner has it, BrokenError if it cannot be had.
        """
        pin = self._lines.take(self._line, self)
        # Set before the first edge can come, which may want to read the line.
        self._pin, self._on_edge = pin, on_edge
        try:
            pin.input_with_pull(_PULLS[pull])
            if on_edge is not None:
                pin.when_changed = self._changed
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop watching and give the line back. Closing twice is harmless."""
        self._on_edge = None
        super().close()

    def _changed(self, at_ns: int, state: float) -> None:
        on_edge = self._on_edge
        if on_edge is None:
            return  # closed while the edge was under way
        try:
            on_edge(Edge(bool(state), at_ns))
        except BaseException as error:
            # Raised further, it would end the thread that serves every line of the process.
            text = "%s: what was called for its edge raised"
            _log.error(text, self.name, exc_info=of_user_code(error))
