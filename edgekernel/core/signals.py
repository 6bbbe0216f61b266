"""Signal, Computed and Effect: values that know who depends on them (promise P4).

A `Signal` holds a value. A `Computed` derives one, lazily, and caches it. An `Effect` runs a
function again whenever a value it has read changes. What is read is found out while the function
runs. Effects run as turns (see `turns`); nothing of the user's ever runs under a lock.

The mechanism is in `graph`, `computed` and `effect`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

from edgekernel.core.computed import Computed
from edgekernel.core.effect import queue
from edgekernel.core.graph import (
    Reacting,
    Source,
    accept,
    changes,
    guard,
    mark_observers,
    really_differs,
    stamps,
)

T = TypeVar("T")

_batch: ContextVar[_Batch | None] = ContextVar("edgekernel_batch", default=None)


class _Batch:
    """What an open batch has changed: signals and computeds, each as it was before."""

    __slots__ = ("before", "closed")

    def __init__(self) -> None:
        self.before: dict[Signal[Any] | Computed[Any], tuple[Any, int]] = {}
        self.closed = False

    def close(self) -> None:
        """Tell those who depend on what has really changed, once."""
        settled = 0
        while settled < len(self.before):  # computeds that were read may bring in others
            settled = len(self.before)
            for source in list(self.before):
                if isinstance(source, Computed):
                    source._refresh(0)
        restored = {
            source: version
            for source, before in list(self.before.items())
            for value, version in [source._versioned()]
            if not really_differs(source._differs, before[0], value)
        }
        effects: dict[Reacting, None] = {}
        with guard:
            self.closed = True
            changes.open.pop(self, None)
            changes.writes += 1  # whoever is checking now has to look again
            for source, version in restored.items():
                if source._version == version:
                    accept(source, self.before[source][1])
            for source in self.before:
                effects.update(dict.fromkeys(mark_observers(source)))
        queue(effects)


def _current_batch() -> _Batch | None:
    opened = _batch.get()  # a task that was begun in a batch still has it when it has ended
    return None if opened is None or opened.closed else opened


@contextmanager
def batch() -> Iterator[None]:
    """Make several sets one change: effects run once, when the outermost batch ends.

    It belongs to the thread (or task) that opened it; sets of other threads take effect at once.
    The values themselves are visible from the moment they are set.
    """
    if _current_batch() is not None:
        yield
        return
    opened = _Batch()
    token = _batch.set(opened)
    try:
        yield
    finally:
        _batch.reset(token)
        opened.close()


def _never_equal(old: object, new: object) -> bool:
    return False


class Signal(Source, Generic[T]):
    """A value that computeds and effects can depend on. Set it from any thread."""

    __slots__ = ("__weakref__", "_equals", "_value", "name")

    def __init__(
        self,
        value: T,
        *,
        equals: Callable[[T, T], bool] | bool = True,
        name: str = "",
    ) -> None:
        """Hold `value`.

        `equals(old, new)` says whether a set changes anything; the default compares with `==`,
        False makes every set a change. `name` appears in reports.
        """
        super().__init__()
        self._value = value
        self.name = name
        self._equals: Callable[[T, T], bool] | None = (
            None if equals is True else _never_equal if equals is False else equals
        )

    def get(self) -> T:
        """Return the value; inside a computed or effect, depend on it."""
        self._tracked()
        return self._value

    def peek(self) -> T:
        """Return the value without depending on it."""
        return self._value

    def set(self, value: T) -> None:
        """Store a value, then run the effects it concerns (inside a batch: at its end).

        If another thread is running turns, the effects run there and this returns at once.
        """
        while True:
            version, old = self._version, self._value
            if not self._differs(old, value):
                return
            opened = _current_batch()
            with guard:
                if self._version != version:
                    continue  # another thread was faster: compare with its value
                if opened is not None and opened.closed:
                    continue  # by its owner, just now
                if opened is not None:
                    opened.before.setdefault(self, (old, version))
                    changes.open[opened] = None
                self._value = value  # value first: who reads in between sees the old version
                self._version = next(stamps)
                changes.writes += 1
                effects = [] if opened is not None else mark_observers(self)
            break
        if effects:
            queue(effects)

    @property
    def value(self) -> T:
        """The value: reading is `get`, assigning is `set`."""
        return self.get()

    @value.setter
    def value(self, value: T) -> None:
        self.set(value)

    def _versioned(self) -> tuple[T, int]:
        with guard:
            return self._value, self._version

    def _differs(self, old: T, new: T) -> bool:
        if self._equals is None:
            return old is not new and bool(old != new)
        return not self._equals(old, new)

    def __repr__(self) -> str:
        return f"<Signal {self.name or hex(id(self))} = {self._value!r}>"
