"""A plain, slow engine that notes which functions have to run, and when.

It marks what depends on a write, asks the sources of a marked node in the order in which they were
read, and runs it at the first that has changed. Everybody else's runs are measured against these.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from benchmarks.signals.engine import Engine


class Oracle:
    """Runs a scenario; afterwards `segments` tells what ran because of which action.

    An action is the making of a computed or effect, the end of a batch, or a write outside one.
    What a read needs is noted with the action before it. Nodes are numbered as they are made.
    """

    def __init__(self) -> None:
        self.segments: list[list[int]] = []
        self.made = 0
        self.batched = True
        """Whether all writes were in batches."""
        self.depth = 0
        self.pending: list[_Node] = []
        self.running: list[_Node] = []

    def engine(self) -> Engine:
        """Return it as an engine."""
        return Engine("oracle", lambda value: _Signal(self, value), self._computed, self._effect,
                      lambda: _Batch(self))  # fmt: skip

    @property
    def runs(self) -> int:
        """How many functions have run."""
        return sum(len(segment) for segment in self.segments)

    def _computed(self, function: Callable[[], Any]) -> _Node:
        return _Node(self, function, effect=False)

    def _effect(self, function: Callable[[], object]) -> _Node:
        node = _Node(self, function, effect=True)
        node.refresh()
        return node

    def act(self) -> None:
        """Begin the next action: run the effects that are due, in the order they were made."""
        self.segments.append([])
        pending, self.pending = self.pending, []
        for node in sorted(pending, key=lambda node: node.number):
            node.refresh()


class _Source:
    __slots__ = ("observers", "oracle", "value", "version")

    def __init__(self, oracle: Oracle, value: Any) -> None:
        self.oracle = oracle
        self.value = value
        self.version = 0
        self.observers: dict[_Node, None] = {}

    def refresh(self) -> None:
        """Bring the value up to date."""

    def get(self) -> Any:
        self.refresh()
        if self.oracle.running:
            self.oracle.running[-1].sources[self] = self.version
            self.observers[self.oracle.running[-1]] = None
        return self.value


class _Signal(_Source):
    __slots__ = ()

    def set(self, value: Any, /) -> None:
        if value == self.value:
            changed: list[_Source] = []
        else:
            changed = [self]
            self.value = value
            self.version += 1
        for source in changed:  # grows while it is walked
            for node in source.observers:
                if not node.suspect:
                    node.suspect = True
                    (self.oracle.pending if node.effect else changed).append(node)
        if not self.oracle.depth:
            self.oracle.batched = False
            self.oracle.act()


class _Node(_Source):
    __slots__ = ("effect", "function", "number", "sources", "suspect")

    def __init__(self, oracle: Oracle, function: Callable[[], Any], *, effect: bool) -> None:
        super().__init__(oracle, None)
        self.function = function
        self.effect = effect
        self.number = oracle.made
        self.sources: dict[_Source, int] = {}
        self.suspect = True
        oracle.made += 1
        oracle.segments.append([])

    def refresh(self) -> None:
        if not self.suspect:
            return
        self.suspect = False
        if self.version and not self._sources_changed():
            return
        before, self.sources = self.sources, {}
        self.oracle.running.append(self)
        value = self.function()
        self.oracle.running.pop()
        for source in before.keys() - self.sources.keys():
            del source.observers[self]
        if not self.version or value != self.value:
            self.value = value
            self.version += 1
        self.oracle.segments[-1].append(self.number)

    def _sources_changed(self) -> bool:
        for source, version in list(self.sources.items()):
            source.refresh()
            if source.version != version:
                return True
        return False


class _Batch:
    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle

    def __enter__(self) -> None:
        self._oracle.depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        self._oracle.depth -= 1
        if not self._oracle.depth:
            self._oracle.act()
