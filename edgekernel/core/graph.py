"""The signal graph: who reads what, in which version, and who must hear of a change.

Every change of a value gets a new version, and whoever computes remembers the version of each
value it has read, from before it read the value. A result is kept only if those versions still
hold when it is stored; otherwise it is computed again. A change marks the direct dependants DIRTY
and the ones behind them CHECK; a node marked CHECK asks its sources in order and runs only if one
of them has really changed. While a node is marked, all that observes it is marked too, queued or
running, and so need not be marked again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import TYPE_CHECKING, Any

CLEAN, CHECK, DIRTY = range(3)

guard = threading.Lock()  # around short changes of the graph; never around user code
stamps = count(1)  # versions; never the same twice
current: ContextVar[Tracker | None] = ContextVar("edgekernel_tracker", default=None)


class Changes:
    """What has changed in the whole graph."""

    __slots__ = ("open", "writes")

    def __init__(self) -> None:
        self.writes = 0
        """How many changes there were; a computed nobody observes is fresh while it stands."""
        self.open: dict[Any, None] = {}
        """Batches with sets whose marks are still to come."""


changes = Changes()


class Tracker:
    """Remembers what one run of one consumer has read, with the version of each."""

    __slots__ = ("consumer", "depth", "outer", "reads", "root")

    def __init__(self, consumer: Consumer | None, outer: Tracker | None, depth: int) -> None:
        self.consumer = consumer
        self.depth = depth  # of computeds on the stack
        self.outer = outer
        self.root: Tracker = self if outer is None else outer.root
        self.reads: dict[Source, int] = {}


class Source:
    """What can be read: has a version and the consumers that want to hear of changes."""

    __slots__ = ("_observers", "_version")

    def __init__(self) -> None:
        self._version = 0
        self._observers: dict[Consumer, None] = {}

    def _tracked(self) -> None:
        tracker = current.get()
        if tracker is not None and tracker.consumer is not None:
            tracker.reads.setdefault(self, self._version)


class Consumer:
    """What reads: has sources with the version it has seen of each, and a mark."""

    if not TYPE_CHECKING:  # mypy takes these for all the slots there are
        __slots__ = ()  # the slots are in the subclasses: two bases cannot both have some

    name: str
    _sources: dict[Source, int]
    _mark: int

    def _sources_changed(self, depth: int) -> bool:
        """Bring the sources up to date, in order; stop at the first that has changed."""
        for source, seen in list(self._sources.items()):
            if isinstance(source, Derived) and source._refresh(depth) is not None:
                return True
            if source._version != seen:
                return True
        return False

    def _outdated(self) -> int:
        """Return the mark that the versions call for; under the guard."""
        mark = CLEAN
        for source, seen in self._sources.items():
            if source._version != seen:
                return DIRTY
            if isinstance(source, Derived) and source._mark != CLEAN:
                mark = CHECK
        return mark

    def _follow(self, reads: dict[Source, int], *, observed: bool) -> None:
        """Make `reads` the sources; under the guard."""
        old, self._sources = self._sources, reads
        if not observed:
            return
        for source in old:
            if source not in reads:
                unobserve(source, self)
        for source in reads:
            observe(source, self)


class Derived(Source, Consumer):
    """What is read and reads: the part of a Computed that the graph knows."""

    __slots__ = ("_checked_at", "_cut", "_mark", "_sources")

    def __init__(self) -> None:
        super().__init__()
        self._sources = {}
        self._mark = DIRTY
        self._checked_at = -1
        self._cut = False  # an effect behind it was cut, and so is not marked with it

    def _refresh(self, depth: int) -> object | None:
        """Bring the result up to date; return the latest one if it could not be stored."""
        raise TypeError(f"{type(self).__name__} does not say how it is computed")


class Reacting(Consumer):
    """What runs when something it has read changes: the part of an Effect that the graph knows."""

    __slots__ = ("_mark", "_queued", "_sources")

    def __init__(self) -> None:
        self._sources = {}
        self._mark = DIRTY
        self._queued = False


def observe(source: Source, consumer: Consumer) -> None:
    """Make `consumer` hear of changes of `source`, and what is behind it; under the guard."""
    work = [(source, consumer)]
    joining: list[Derived] = []
    while work:
        source, consumer = work.pop()
        first = not source._observers
        source._observers[consumer] = None
        if first and isinstance(source, Derived):
            joining.append(source)
            work.extend((behind, source) for behind in source._sources)
    # All or none: nothing CLEAN may observe what is not.
    fresh = all(source._checked_at == changes.writes for source in joining)
    for source in joining:
        source._mark = CLEAN if fresh else max(source._mark, CHECK)


def unobserve(source: Source, consumer: Consumer) -> None:
    """Make `consumer` no longer hear of `source`, nor what only it needed; under the guard."""
    work = [(source, consumer)]
    while work:
        source, consumer = work.pop()
        source._observers.pop(consumer, None)
        if not source._observers and isinstance(source, Derived):
            if source._mark == CLEAN and not changes.open:
                source._checked_at = changes.writes
            work.extend((behind, source) for behind in source._sources)


def mark_observers(source: Source) -> list[Reacting]:
    """Mark what depends on `source`; return the effects to queue. Under the guard."""
    effects: list[Reacting] = []
    reached: list[Derived] = []

    def reach(consumer: Consumer, mark: int) -> None:
        if isinstance(consumer, Reacting):
            if not consumer._queued:
                consumer._queued = True
                effects.append(consumer)
        elif isinstance(consumer, Derived) and (consumer._mark == CLEAN or consumer._cut):
            consumer._cut = False
            reached.append(consumer)
        consumer._mark = max(consumer._mark, mark)

    unsettled = isinstance(source, Derived) and source._mark != CLEAN
    for consumer in source._observers:
        if consumer._sources.get(source) != source._version:
            reach(consumer, DIRTY)
        elif unsettled:
            reach(consumer, CHECK)
    for computed in reached:  # grows while it is walked: breadth first, no recursion
        for consumer in computed._observers:
            reach(consumer, CHECK)
    return effects


def accept(source: Source, version: int) -> None:
    """Let those who have seen `version` take the present one for the same; under the guard."""
    for consumer in source._observers:
        if consumer._sources.get(source) == version:
            consumer._sources[source] = source._version


@contextmanager
def untracked() -> Iterator[None]:
    """Read signals without depending on them."""
    outer = current.get()
    token = current.set(Tracker(None, outer, outer.depth if outer else 0))
    try:
        yield
    finally:
        current.reset(token)


def really_differs(differs: Callable[[Any, Any], bool], old: Any, new: Any) -> bool:
    """Compare with a user's function; what cannot be compared has changed: nothing is hidden."""
    try:
        return differs(old, new)
    except Exception:
        return True
