"""The floor: the functions that have to run, called in a loop, in an order known beforehand.

No engine written in Python can be faster: there is no tracking, no comparing, no ordering left.
Values stand in slotted cells; a batch is an empty `with` whose end runs what the oracle noted.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from benchmarks.signals.engine import Engine
from benchmarks.signals.oracle import Oracle


class _Cell:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def get(self) -> Any:
        return self.value

    def set(self, value: Any, /) -> None:
        self.value = value


class _Node:
    __slots__ = ("function", "value")

    function: Callable[[], Any]
    value: Any

    def get(self) -> Any:
        return self.value


def floor(noted: Oracle) -> Engine:
    """Return an engine that replays what the oracle noted, for the same scenario only."""
    nodes = [_Node() for _ in range(noted.made)]
    upcoming = iter(nodes)
    segments = iter([tuple(nodes[number] for number in each) for each in noted.segments])

    class Writing(_Cell):
        """A cell whose every write is an action."""

        __slots__ = ()

        def set(self, value: Any, /) -> None:
            self.value = value
            for node in next(segments):
                node.value = node.function()

    class Batch:
        __slots__ = ()

        def __enter__(self) -> None:
            pass

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None,
            traceback: TracebackType | None,
        ) -> None:  # fmt: skip
            for node in next(segments):
                node.value = node.function()

    def make(function: Callable[[], Any]) -> _Node:
        made = next(upcoming)
        made.function = function
        for node in next(segments):
            node.value = node.function()
        return made

    batch = Batch()
    return Engine("floor", _Cell if noted.batched else Writing, make, make, lambda: batch)
