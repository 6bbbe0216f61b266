"""Signal, Computed and Effect: values that know who depends on them (promise P4).

A `Signal` holds a value. A `Computed` derives one, lazily, and caches it. An `Effect` runs a
function again whenever a value it has read changes. What is read is found out while the function
runs. Effects run as turns (see `turns`); nothing of the user's ever runs under a lock.

The mechanism is in `graph`, `computed` and `effect`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, Generic, TypeVar

from edgekernel.core.computed import Computed
from edgekernel.core.effect import Effect, queue
from edgekernel.core.errors import ReactiveError
from edgekernel.core.graph import (
    ALWAYS,
    CHANGED,
    CHECKED,
    VALUE,
    Consumer,
    Source,
    State,
    current,
    guard,
    mark,
    really_differs,
    world,
)

T = TypeVar("T")


class batch:
    """Make several sets one change: effects run once, when the outermost batch ends.

    It belongs to the thread (or task) that opened it; sets of other threads take effect at once.
    The values themselves are visible from the moment they are set.
    """

    __slots__ = ("before", "closed", "ran", "token")

    def __enter__(self) -> None:
        opened = _batch.get()
        if opened is not None and not opened.closed:
            if opened is self:
                raise ReactiveError("this batch is open already: make another one with batch()")
            self.closed = True  # the outer one does it all
            return
        self.closed = False
        self.before: dict[Signal[Any], tuple[State, int]] = {}
        """What was set: the state before, and the number of the first set."""
        self.ran: dict[Consumer, State | None] = {}
        """What ran while sets were open: a computed with its state before."""
        self.token: Token[batch | None] = _batch.set(self)

    def __exit__(self, *_: object) -> None:
        if self.closed:
            return
        _batch.reset(self.token)
        if self.ran:
            self._refresh_ran()
        restored = self._restored()
        effects: list[Consumer] = []
        with guard:
            self.closed = True
            if not self.before:
                return
            number = world.now + 1
            told = [consumer for consumer in self.ran if consumer._queued and consumer._dirty]
            for signal in self.before:
                if signal not in restored and signal._observers:
                    mark(signal, number, effects)
            for consumer in self.ran:  # it may have seen the latest values: it has to look
                consumer._dirty = isinstance(consumer, Effect) and consumer in told
            self._restore(restored, number, effects)
            del world.open[self]
            world.advance(number)
        if effects:
            effects[0]._notify(effects)

    def _refresh_ran(self) -> None:
        """Bring the observed computeds that ran up to date; those may bring in others."""
        settled = 0
        while settled < len(self.ran):
            settled = len(self.ran)
            for consumer in list(self.ran):
                if isinstance(consumer, Computed) and consumer._observers:
                    consumer._refresh()

    def _restored(self) -> dict[Source, tuple[State, State, int]]:
        """Return what has its old value again: the state before, the one now, the first change."""
        found: dict[Source, tuple[State, State, int]] = {}
        for signal, (before, first) in list(self.before.items()):
            now = signal._state
            if now[CHANGED] != first and not really_differs(
                signal._differs, before[VALUE], now[VALUE]
            ):
                found[signal] = before, now, first
        for consumer, old in list(self.ran.items()):
            if isinstance(consumer, Computed) and old is not None and consumer._observers:
                now = consumer._state
                if now[CHANGED] != old[CHANGED] and not really_differs(
                    consumer._differs, old[VALUE], now[VALUE]
                ):
                    found[consumer] = old, now, old[CHECKED] + 1
        return found

    def _restore(
        self,
        restored: dict[Source, tuple[State, State, int]],
        number: int,
        effects: list[Consumer],
    ) -> None:
        """Give the old numbers back; who may have seen a value in between has to run again."""
        for source, (before, now, _) in list(restored.items()):
            if source._state is now:
                source._state = now[VALUE], before[CHANGED], now[CHECKED]
                world.restored_at = number
            else:
                del restored[source]  # another thread has changed it just now
        for consumer in self.ran:
            if isinstance(consumer, Effect):
                for dep in consumer._deps:
                    if dep in restored:
                        _, now, first = restored[dep]
                        if first <= consumer._seen < now[CHANGED]:
                            consumer._dirty = True
                            if not consumer._queued:
                                consumer._queued = True
                                effects.append(consumer)
            elif restored and not consumer._observers:
                consumer._dirty = True


_batch: ContextVar[batch | None] = ContextVar("edgekernel_batch", default=None)


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
        self._state = (value, 0, 0)
        self._marked = ALWAYS
        self._observers = {}
        self.name = name
        self._equals: Callable[[T, T], bool] | None = (
            None if equals is True else _never_equal if equals is False else equals
        )

    def get(self) -> T:
        """Return the value; inside a computed or effect, depend on it."""
        flow = current.get()
        state = self._state
        if flow is not None:
            run = flow.run
            if run is not None and flow.owned():
                cursor = run.cursor
                if run.deps[cursor] is self and state[1] <= run.began:
                    run.cursor = cursor + 1
                else:
                    run.read_anew(self, state[1])
        value: T = state[0]  # a cast would cost as much as all of the rest
        return value

    def peek(self) -> T:
        """Return the value without depending on it."""
        value: T = self._state[0]
        return value

    def set(self, value: T) -> None:
        """Store a value, then run the effects it concerns (inside a batch: at its end).

        If another thread is running turns, the effects run there and this returns at once.
        """
        while True:
            state = self._state
            old = state[0]
            if self._equals is not None:
                if self._equals(old, value):
                    return
            elif old is value or old == value:
                return
            opened = _batch.get()
            effects: list[Consumer] = []
            with guard:
                if self._state is not state:
                    continue  # another thread was faster: compare with its value
                number = world.now + 1
                if opened is not None and not opened.closed:
                    opened.before.setdefault(self, (state, number))
                    world.open[opened] = None
                    self._state = value, number, 0
                else:
                    self._state = value, number, 0
                    if self._observers:
                        mark(self, number, effects)
                world.advance(number)
            break
        if effects:
            queue(effects)  # type: ignore[arg-type]

    @property
    def value(self) -> T:
        """The value: reading is `get`, assigning is `set`."""
        return self.get()

    @value.setter
    def value(self, value: T) -> None:
        self.set(value)

    def _differs(self, old: T, new: T) -> bool:
        if self._equals is None:
            return old is not new and bool(old != new)
        return not self._equals(old, new)

    def __repr__(self) -> str:
        return f"<Signal {self.name or hex(id(self))} = {self._state[0]!r}>"
