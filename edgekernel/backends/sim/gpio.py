"""Simulated lines: gpiozero's mock pins, which keep what a pin of Linux keeps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from gpiozero import PinInfo
from gpiozero.pins.mock import MockFactory, MockPin

from edgekernel.backends.gpiozero_lines import pin_fields
from edgekernel.core.clock import Clock
from edgekernel.core.errors import LifecycleError, UnknownTargetError, nearest
from edgekernel.hal.address import LineAddress

_HISTORY = 65_536
"""Levels that a line remembers; the oldest go first."""


class SimLine:
    """A simulated line from outside: what a meter on it shows, and the wire that drives it."""

    def __init__(self, name: str, pin: SimPin) -> None:
        self._name = name
        self._pin = pin

    @property
    def name(self) -> str:
        """The line as people know it, such as "GPIO17"."""
        return self._name

    @property
    def level(self) -> bool:
        """The electrical level; True is high."""
        return bool(self._pin.state)

    @property
    def function(self) -> str:
        """What the pin is: "input" or "output". A closed output stays one, as on Linux."""
        return str(self._pin.function)

    @property
    def levels(self) -> tuple[bool, ...]:
        """Every level since the line was last opened, the one it was opened with first."""
        return tuple(self._pin.levels)

    def drive(self, level: bool) -> None:
        """Put a level on the line, as the outside world; it stays, also against a pull.

        Raises LifecycleError if the pin is an output: that would be a short circuit.
        """
        if self.function == "output":
            raise LifecycleError(
                f"{self._name} is an output: the outside cannot drive it; read its level instead"
            )
        self._pin.drive(level)

    def release(self) -> None:
        """Stop driving: the pull resistor decides, and without one the level stays."""
        self._pin.drive(None)


class SimPins:
    """The pins of one simulated board, by the names of their lines."""

    def __init__(self, clock: Clock) -> None:
        self._factory = SimFactory(clock)
        self._pins: dict[str, SimPin] = {}

    def add(self, line: LineAddress) -> None:
        """Make the pin of a line, if it is not there yet."""
        if line.name not in self._pins:
            self._pins[line.name] = SimPin(self._factory, PinInfo(*pin_fields(line.offset)))

    def pin(self, line: LineAddress) -> SimPin:
        """Return the pin of a line that was added."""
        return self._pins[line.name]

    def line(self, name: str) -> SimLine:
        """Return the outside of a line. Raises UnknownTargetError."""
        number = name.removeprefix("GPIO")
        if name not in self._pins and number != name and number.isdecimal():
            self.add(LineAddress(name, "", int(number)))
        if name not in self._pins:
            raise UnknownTargetError(
                f"no line {name!r} on the simulated board{nearest(name, self._pins)}"
            )
        return SimLine(name, self._pins[name])


class SimFactory(MockFactory):
    """Makes pins that call their handlers one at a time, in the order of the edges."""

    def __init__(self, clock: Clock) -> None:
        # Both given, or gpiozero would take them from the environment.
        super().__init__(revision="a02082", pin_class=SimPin)
        self._running = clock.Lock()
        self._calls: deque[Callable[[], None]] = deque()

    def call(self, call: Callable[[], None]) -> None:
        """Make a call, after those under way: the one who makes these takes it along."""
        self._calls.append(call)
        while self._calls and self._running.acquire(blocking=False):
            try:
                while self._calls:
                    self._calls.popleft()()
            finally:
                self._running.release()


class SimPin(MockPin):
    """A mock pin that keeps its level when closed, obeys the outside, and has a history."""

    def __init__(self, factory: SimFactory, info: PinInfo) -> None:
        self.levels: deque[bool] = deque(maxlen=_HISTORY)
        self._outside: bool | None = None
        super().__init__(factory, info)

    def output_with_state(self, state: bool) -> None:
        """Become an output: level before direction, as the kernel does it."""
        self._change_state(bool(state))
        self.function = "output"

    def input_with_pull(self, pull: str) -> None:
        """Become an input with the pull "floating", "up" or "down"."""
        self.function = "input"
        self.pull = pull
        self.drive(self._outside)
        self._begin_history()

    def drive(self, level: bool | None) -> None:
        """Let the outside drive a level, or nothing: then the pull decides."""
        self._outside = level
        if self.function == "output":
            return
        effective = {"up": True, "down": False}.get(self.pull) if level is None else level
        if effective is not None:
            (self.drive_high if effective else self.drive_low)()

    def close(self) -> None:
        """Stop watching; level and direction stay."""
        self.when_changed = None

    def _set_function(self, value: str) -> None:
        super()._set_function(value)
        # Here and not in `output_with_state`: whoever takes the direction first shows in it.
        self._begin_history()

    def _begin_history(self) -> None:
        self.levels.clear()
        self.levels.append(self._state)

    def _change_state(self, value: bool) -> bool:
        """Change the level; instead of gpiozero's, which stamps real time and keeps all."""
        if self._state == value:
            return False
        self._state = value
        self.levels.append(value)
        return True

    def _call_when_changed(self) -> None:  # type: ignore[override]  # as MockPin's
        level = self._state

        def call() -> None:
            if self._when_changed is not None:
                super(MockPin, self)._call_when_changed(0, level)

        self.factory.call(call)
