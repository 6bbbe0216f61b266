"""Signal: a value that computeds and effects can depend on (promise P4).

A `Signal` holds a value. A `Computed` derives one, lazily, and caches it. An `Effect` runs a
function again whenever a value it has read changes. What is read is found out while the function
runs. Effects run as turns (see `turns`); nothing of the user's ever runs under a lock.

How that works is told in `graph`; the parts are in `computed`, `effect` and `batch`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from edgekernel.core.batch import batch, get_batch
from edgekernel.core.errors import ReactiveError
from edgekernel.core.graph import (
    ALWAYS,
    NOBODY,
    Consumer,
    Source,
    get_flow,
    guard,
    interrupted,
    mark,
    world,
)

__all__ = ["Signal", "batch"]

T = TypeVar("T")


def _never_equal(old: object, new: object) -> bool:
    return False


class Signal(Source, Generic[T]):
    """A value that computeds and effects can depend on. Set it from any thread."""

    __slots__ = ("__weakref__", "_equals", "name")

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
        self._state = value, 0, 0
        self._marked = ALWAYS
        self._observers = NOBODY
        self.name = name
        self._equals: Callable[[T, T], bool] | None = (
            None if equals is True else _never_equal if equals is False else equals
        )

    def get(self) -> T:
        """Return the value; inside a computed or effect, depend on it."""
        flow = get_flow()
        run = flow.run
        state = self._state
        if run is not None:
            cursor = run.cursor
            if run.deps[cursor] is self and state[1] <= run.began:
                run.cursor = cursor + 1
            elif cursor > 0:
                if run.deps[cursor - 1] is not self:
                    flow.read_anew(self, state[1])
            elif not cursor or self not in run.reads:  # type: ignore[operator]  # -1: a dict
                flow.read_anew(self, state[1])
        value: T = state[0]  # a cast would cost as much as half of the rest
        return value

    def peek(self) -> T:
        """Return the value without depending on it."""
        value: T = self._state[0]
        return value

    def set(self, value: T) -> None:
        """Store a value, then run the effects it concerns (inside a batch: at its end).

        If another thread is running turns, the effects run there and this returns at once.
        """
        effects: list[Consumer] | None = None
        number = 0
        try:
            while True:
                state = self._state
                if self._equals is not None:
                    if not self._differs(state[0], value):
                        return
                elif state[0] is value or state[0] == value:
                    return
                opened = get_batch()
                try:
                    del guard.free
                except AttributeError:
                    try:
                        guard.take()
                    except ReactiveError:  # let what has been interrupted here go on
                        threading.Thread(target=self.set, args=(value,), daemon=True).start()
                        return
                try:
                    if self._state is not state:
                        continue  # another thread was faster: compare with its value
                    number = world.now + 1
                    self._state = value, number, 0
                    if opened is not None and not opened.closed:
                        opened.note(self, state, number)
                    elif self._observers:
                        mark(self, number, effects := [])
                    world.now = number  # when all marks are in place
                    if not world.open:
                        world.calm = number
                finally:
                    guard.free = True
                break
            if effects:
                effects[0]._notify(effects)
        except BaseException:
            if number:
                interrupted(effects or (), number)
            raise

    @property
    def value(self) -> T:
        """The value: reading is `get`, assigning is `set`."""
        return self.get()

    @value.setter
    def value(self, value: T) -> None:
        self.set(value)

    def _differs(self, old: T, new: T) -> bool:
        if self._equals is not None:
            return not self._equals(old, new)
        return old is not new and bool(old != new)

    def __repr__(self) -> str:
        return f"<Signal {self.name or hex(id(self))} = {self._state[0]!r}>"
