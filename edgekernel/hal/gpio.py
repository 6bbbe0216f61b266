"""Lines: one bit in, one bit out, or pulses. Levels are electrical: True is high."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol, runtime_checkable


class Pull(StrEnum):
    """The resistor that holds an input while nothing drives it."""

    NONE = "none"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Edge:
    """A change of level, with the monotonic time in nanoseconds at which it was seen."""

    level: bool
    monotonic_ns: int


class DigitalOutput(Protocol):
    """A line that is driven. Made closed: nothing happens to the pin before `open`."""

    @property
    def name(self) -> str:
        """The line as people know it, such as "GPIO17"."""
        ...

    def open(self, level: bool | None) -> None:
        """Claim the line and drive `level`: the level is set before the direction.

        None keeps the level that the line has, whichever direction it had: nothing moves.
        Raises BusyError if another owner has it, BrokenError if the line cannot be had.
        """
        ...

    def write(self, level: bool) -> None:
        """Drive `level`. Raises ClosedError before `open` and after `close`."""
        ...

    def read(self) -> bool:
        """Return the level that the pin really has."""
        ...

    def close(self) -> None:
        """Give the line back, leaving its level as it is. Closing twice is harmless."""
        ...


class DigitalInput(Protocol):
    """A line that is read. Made closed."""

    @property
    def name(self) -> str:
        """The line as people know it, such as "GPIO27"."""
        ...

    def open(
        self,
        pull: Pull,
        on_edge: Callable[[Edge], None] | None = None,
        *,
        settle_s: float = 0.0,
    ) -> None:
        """Claim the line as an input with a pull resistor.

        `on_edge` is called for every change of level, one at a time, from a thread of the
        backend. With `settle_s` (0 to 10) a change counts when the level has lasted so long,
        judged by the times of the edges: an Edge then says when the level came, no change is told
        twice, and the last one told is the level that the line really has. The level at `open` is
        no change. Raises BusyError if another owner has it, BrokenError if it cannot be had.
        """
        ...

    def read(self) -> bool:
        """Return the level; with `settle_s` the settled one.

        Raises ClosedError before `open` and after `close`.
        """
        ...

    def close(self) -> None:
        """Stop watching and give the line back. Closing twice is harmless."""
        ...


class PwmOutput(Protocol):
    """A line that is driven with pulses: high for a share of each period. Made closed."""

    @property
    def name(self) -> str:
        """The line as people know it, such as "GPIO18"."""
        ...

    @property
    def hardware(self) -> bool:
        """Whether a hardware timer makes the pulses. Software ones jitter by some 10 µs, and by
        milliseconds when the computer is busy."""
        ...

    def open(self, frequency_hz: float, duty: float) -> None:
        """Claim the line and begin with `duty` (0 to 1: the share of a period that is high).

        Raises InvalidValueError for a frequency that it cannot make, BusyError if another owner
        has it, BrokenError if the line cannot be had.
        """
        ...

    def write(self, duty: float) -> None:
        """Change the share that is high, 0 to 1, from the next period on.

        Raises ClosedError before `open` and after `close`.
        """
        ...

    def close(self) -> None:
        """Stop the pulses, leaving the line low, and give it back. Closing twice is harmless."""
        ...


@runtime_checkable
class LineProvider(Protocol):
    """A device with lines of its own, such as an I/O expander: usable wherever a pin is.

    In a node file "io:GPA3" is the line GPA3 of the device `io`. Whoever uses one starts after
    the provider and is stopped before it; and is offline with it, if its class says that it
    `carries` (see `Device`). A class may have `output_only`: the reasons, by line, why some of
    its lines are no inputs.
    """

    line_names: ClassVar[tuple[str, ...]]
    """The names of its lines."""

    def digital_output(self, name: str) -> DigitalOutput:
        """Return a closed output on one of its lines; touches nothing."""
        ...

    def digital_input(self, name: str) -> DigitalInput:
        """Return a closed input on one of its lines; touches nothing."""
        ...


class LineOutside(Protocol):
    """A line from outside: how a simulated part that hangs on lines sees and drives them."""

    @property
    def level(self) -> bool:
        """The electrical level; True is high."""
        ...

    def drive(self, level: bool) -> None:
        """Put a level on an input, as the outside world; it stays, also against a pull."""
        ...

    def watch(self, changed: Callable[[bool], None]) -> None:
        """Call `changed` with each new level of the line, whoever drives it."""
        ...
