"""Boundaries: which lines, buses and ports of a simulated board are open, and who opened them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekernel.backends.sim import SimBackend

_KINDS = {
    "digital_output": "line",
    "digital_input": "line",
    "pwm_output": "line",
    "i2c_bus": "bus",
    "serial_port": "port",
    "spi_device": "chip select",
    "onewire_bus": "bus",
}
"""What each method of a backend makes."""

INSIDE = f"{Path(__file__).parents[1]}/"
"""What the paths of edgekernel's own modules begin with."""


@dataclass
class _Openings:
    """How often a boundary is open (a bus may be several times), and who opened it."""

    what: str
    board: SimBackend
    count: int = 0
    places: list[str] = field(default_factory=list)


class Boundaries:
    """What has been opened through a backend and not been closed."""

    def __init__(self) -> None:
        self._openings: dict[int, tuple[object, _Openings]] = {}

    def watch(self, board: SimBackend) -> None:
        """Keep the account of a board from now on."""
        for method, kind in _KINDS.items():
            if hasattr(board, method):
                setattr(board, method, self._noting(getattr(board, method), kind, board))

    def forget(self, board: SimBackend) -> None:
        """Take note that all of a board was closed at once: whoever had it has died."""
        for _, each in self._openings.values():
            if each.board is board:
                each.count = 0
                each.places.clear()

    def left(self) -> list[str]:
        """Return what is open: kind and name, and who has opened it."""
        return [
            f"open {each.what}, opened at {' or '.join(dict.fromkeys(each.places))}"
            for _, each in self._openings.values()
            if each.count > 0
        ]

    def _noting(self, make: Callable[..., Any], kind: str, board: SimBackend) -> Callable[..., Any]:
        def make_noted(*args: Any, **options: Any) -> Any:
            boundary = make(*args, **options)
            if id(boundary) not in self._openings:  # a bus is the same for all its devices
                noted = _Openings(f"{kind} {boundary.name}", board)
                self._openings[id(boundary)] = boundary, noted
                _note(boundary, noted)
            return boundary

        return make_noted


def _note(boundary: Any, noted: _Openings) -> None:
    opening, closing = boundary.open, boundary.close

    def open(*args: Any, **options: Any) -> Any:
        result = opening(*args, **options)
        noted.count += 1
        noted.places.append(_place())
        return result

    def close() -> None:
        closing()
        noted.count = max(0, noted.count - 1)
        if not noted.count:
            noted.places.clear()

    # The instance's own, before the class's: it stays what it is to whoever asks.
    boundary.open, boundary.close = open, close


def _place() -> str:
    """Return file, line and function of the innermost caller outside of edgekernel."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(INSIDE):
        frame = frame.f_back
    code = frame.f_code
    return f"{code.co_filename}:{frame.f_lineno} in {code.co_name}"
