"""What a scenario is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.signals.engine import Engine

Run = Callable[[int], Any]
"""One pass. Its argument shifts the values that are written, so that no two passes write the same;
it returns the sum of what was read."""


@dataclass(frozen=True)
class Scenario:
    """A graph of signals and what is done with it, the same for every engine."""

    name: str
    build: Callable[[Engine], Run]
    expected: Callable[[int], Any] | None = None
    """The sum of a pass by direct calculation; without it the floor's is the reference."""
    fresh: bool = False
    """Whether every pass needs a graph of its own."""
    batched: bool = True
    """Whether all writes are in batches."""
