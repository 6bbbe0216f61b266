"""Simulated gpiozero pins, which keep what a pin of Linux keeps."""

# gpiozero's base class says for each of these that a pin does not have it.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from gpiozero import (
    PinFixedPull,
    PinInfo,
    PinInvalidFunction,
    PinInvalidPull,
    PinInvalidState,
    PinPWMFixedValue,
    PinSetInput,
)
from gpiozero.pins.pi import PiFactory, PiPin

from edgekernel.backends.sim.net import Net
from edgekernel.core.clock import Clock

_HISTORY = 65_536
"""Levels that a line remembers; the oldest go first."""

_PI_3B = 0xA02082
"""The revision code of the board that gpiozero is told about."""


class SimFactory(PiFactory):
    """Makes pins that call their handlers one at a time, in the order of the edges."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.pin_class = SimPin
        self.cut_off = False
        """Whether who uses the pins reaches them no more."""
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

    def vacate(self) -> None:
        """Forget the calls of who has gone, and let the next one reach the pins."""
        self.cut_off = False
        self._calls.clear()
        self._running = self.clock.Lock()

    def stamp(self) -> float:
        """Return the time that a handler is given with an edge: nanoseconds, as an int."""
        return self.clock.monotonic_ns()

    def _get_revision(self) -> int:
        return _PI_3B


class SimPin(PiPin):
    """A pin that keeps its level when closed, obeys what it is wired to, and has a history."""

    def __init__(self, factory: SimFactory, info: PinInfo) -> None:
        super().__init__(factory, info)
        self.levels: deque[bool] = deque(maxlen=_HISTORY)
        self.pulses: tuple[float, float] | None = None
        """Frequency in hertz and share that is high, while it makes pulses."""
        self._function = "input"
        self._pull = info.pull or "floating"
        self.level = self._pull == "up"
        """The level of the pin; of one that makes pulses, whether it is ever high."""
        self._edges = "both"
        self._bounce: float | None = None
        self.net = Net(self)
        self.watching: tuple[Callable[[bool], None], ...] = ()
        """Who outside is told of each level that the pin is driven to."""
        self._begin_history()

    @property
    def driven(self) -> object:
        """What the pin drives if it is an output, for comparison with others."""
        return self.pulses or self.level

    def output_with_state(self, state: bool) -> None:
        """Become an output: level before direction, as the kernel does it."""
        if self._reached_by_nobody:
            return
        self._change(bool(state))
        self.function = "output"

    def output_as_is(self) -> None:
        """Become an output at the level that it has."""
        self.function = "output"

    def input_with_pull(self, pull: str) -> None:
        """Become an input with the pull "floating", "up" or "down"."""
        self.function = "input"
        self.pull = pull
        self._begin_history()

    def pulse(self, frequency_hz: float, duty: float) -> None:
        """Make pulses, high for the share `duty` of each period; 0 Hz ends them, at low."""
        if self._reached_by_nobody:
            return
        self.pulses = (frequency_hz, duty) if frequency_hz else None
        self._drive(frequency_hz > 0 and duty > 0)

    def follow(self, level: bool, unseen: bool) -> None:
        """Take the level of the net, if an input; `unseen` by who waits for edges."""
        if self._function == "input" and level != self.level:
            self._change(level)
            if not unseen and self._edges in ("both", "rising" if level else "falling"):
                self._call_when_changed()

    def close(self) -> None:
        """Stop watching; level and direction stay."""
        self.when_changed = None

    def power_off(self) -> None:
        """Be an input without a pull, low unless the outside drives it."""
        self.pulses = None
        self._function, self._pull = "input", "floating"
        self._change(False)
        self._begin_history()
        self.net.settle()

    def _get_function(self) -> str:
        return self._function

    def _set_function(self, value: str) -> None:
        if value not in ("input", "output"):
            raise PinInvalidFunction(f"{self!r}: no function {value!r}; it is input or output")
        if self._reached_by_nobody:
            return
        if value == "input":
            self.pulses = None
        self._function = value
        # Here and not in `output_with_state`: whoever takes the direction first shows in it.
        self._begin_history()
        self.net.check()
        self.net.settle()

    def _get_state(self) -> float:
        """Return the level as gpiozero wants it: of an output that makes pulses, its duty."""
        if self.pulses is not None:
            return self.pulses[1]
        return self.net.sample(self) if self._function == "input" else self.level

    def _set_state(self, value: float) -> None:
        if self._function == "input":
            raise PinSetInput(f"{self!r} is an input: it cannot be set")
        if not 0 <= value <= 1:
            raise PinInvalidState(f"{self!r}: no state {value!r}; it is from 0 to 1")
        if self._reached_by_nobody:
            return
        if self.pulses is not None:
            self.pulses = (self.pulses[0], value)
        self._drive(value > 0)

    def _get_frequency(self) -> float | None:
        return None if self.pulses is None else self.pulses[0]

    def _set_frequency(self, value: float | None) -> None:
        if self._function == "input":
            if value is None:
                return
            raise PinPWMFixedValue(f"{self!r} is an input: it makes no pulses")
        duty = 0.0 if self.pulses is None else self.pulses[1]
        self.pulse(value or 0, duty)

    def _get_pull(self) -> str:
        return self._pull

    def _set_pull(self, value: str) -> None:
        if self._function != "input":
            raise PinFixedPull(f"{self!r} is an output: it has no pull")
        if value not in ("floating", "up", "down"):
            raise PinInvalidPull(f"{self!r}: no pull {value!r}; it is floating, up or down")
        if self.info.pull not in ("", value):
            raise PinFixedPull(f"{self!r} has a pull-{self.info.pull} resistor on the board")
        self._pull = value
        self.net.settle()

    def _get_bounce(self) -> float | None:
        return self._bounce

    def _set_bounce(self, value: float | None) -> None:
        self._bounce = value  # simulated contacts bounce when they are told to

    def _get_edges(self) -> str:
        return self._edges

    def _set_edges(self, value: str) -> None:
        self._edges = value

    @property
    def _reached_by_nobody(self) -> bool:
        factory: Any = self.factory
        return bool(factory.cut_off)

    def _begin_history(self) -> None:
        self.levels.clear()
        self.levels.append(self.level)

    def _drive(self, level: bool) -> None:
        self._change(level)
        self.net.check()
        self.net.settle()

    def _change(self, level: bool) -> None:
        if level != self.level:
            self.level = level
            self.levels.append(level)
            for changed in self.watching:
                changed(level)

    def _call_when_changed(self) -> None:  # type: ignore[override]  # takes what it needs itself
        factory: Any = self.factory
        at, level = factory.stamp(), self.level

        def call() -> None:
            watcher = self._when_changed  # another thread may take it away meanwhile
            method = None if watcher is None else watcher()
            if method is not None:
                method(at, level)

        factory.call(call)

    def _enable_event_detect(self) -> None:
        """Do nothing: whoever changes the level calls."""

    def _disable_event_detect(self) -> None:
        """Do nothing, as above."""
