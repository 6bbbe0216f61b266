"""Digital lines: one bit in, one bit out. Levels are electrical: True is high."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


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

    def open(self, level: bool) -> None:
        """Claim the line and drive `level`: the level is set before the direction.

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

    def open(self, pull: Pull, on_edge: Callable[[Edge], None] | None = None) -> None:
        """Claim the line as an input with a pull resistor.

        `on_edge` is called for every change of level, one at a time, from a thread of the
        backend. Raises BusyError if another owner has it, BrokenError if it cannot be had.
        """
        ...

    def read(self) -> bool:
        """Return the level. Raises ClosedError before `open` and after `close`."""
        ...

    def close(self) -> None:
        """Stop watching and give the line back. Closing twice is harmless."""
        ...
