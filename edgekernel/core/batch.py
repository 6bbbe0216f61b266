"""Batch: several sets that count as one change."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Any

from edgekernel.core.computed import Computed
from edgekernel.core.effect import Effect
from edgekernel.core.errors import ReactiveError
from edgekernel.core.graph import (
    CHANGED,
    CHECKED,
    VALUE,
    Consumer,
    Source,
    State,
    guard,
    interrupted,
    mark,
    really_differs,
    spread,
    world,
)

Restored = dict[Source, tuple[State, State, int]]
"""What has its old value again: its state before, its state now, and the first change between."""


NONE: dict[Any, Any] = {}
"""Stands for a dict that was not needed yet; never changed."""


class batch:
    """Make several sets one change: effects run once, when the outermost batch ends.

    It belongs to the thread (or task) that opened it, and to what inherits its context, such as a
    task made inside; sets of others take effect at once.
    The values themselves are visible from the moment they are set.
    """

    __slots__ = ("again", "closed", "first", "more", "ran", "set_at", "token", "was")

    closed: bool
    again: bool
    """Whether a signal was set more than once, and so may have its old value again."""
    first: Source | None
    """The signal that was set first, `was` its state before, `set_at` the number of that set."""
    was: State
    set_at: int
    more: dict[Source, tuple[State, int]]
    """The same of the other signals that were set."""
    ran: dict[Consumer, State | None]
    """What ran while sets were open: a computed with its state before."""
    token: Token[batch | None]

    def __enter__(self) -> None:
        opened = get_batch()
        if opened is not None and not opened.closed:
            if opened is self:
                raise ReactiveError("this batch is open already: make another one with batch()")
            self.closed = True  # the outer one does it all
            return
        self.closed = self.again = False
        self.first = None
        self.more = self.ran = NONE
        try:
            self.token = set_batch(self)
        except BaseException:  # Ctrl-C just after it was set
            self.closed = True
            raise

    def __exit__(self, *_: object) -> None:
        if self.closed:
            return
        effects: list[Consumer] = []
        try:
            try:  # noqa: SIM105 - `suppress` takes longer than all of this
                reset_batch(self.token)
            except ValueError:  # it ends in another context, as in a generator that was left
                pass
            looked: dict[Source, State] = NONE
            restored: Restored = NONE
            if self.again or self.ran is not NONE:
                looked = self._refresh_ran()
                restored = self._restored(looked)
            try:
                del guard.free
            except AttributeError:
                guard.take()
            try:
                self.closed = True
                if self.first is not None:
                    self._tell(self.first, looked, restored, effects)
            finally:
                guard.free = True
            if effects:
                effects[0]._notify(effects)
        except BaseException:
            self._interrupted(effects)
            raise

    def _interrupted(self, effects: list[Consumer]) -> None:
        """Ctrl-C has come at the end of it: let the next changes queue what should hear."""
        guard.take()
        try:
            self.closed = True
            if self.first is not None and self in world.open:
                self._tell(self.first, NONE, NONE, effects)
        finally:
            guard.free = True
        interrupted(effects, world.now)

    def note(self, signal: Source, state: State, number: int) -> None:
        """Remember a set and the state before it; under the guard."""
        first = self.first
        if first is None:
            self.first, self.was, self.set_at = signal, state, number
            world.open.append(self)
            world.calm = -1
        elif signal is first or signal in self.more:
            self.again = True
        else:
            if self.more is NONE:
                self.more = {}
            self.more[signal] = state, number

    def note_run(self, consumer: Consumer, state: State | None) -> None:
        """Remember what ran, and its state before; under the guard."""
        if self.ran is NONE:
            self.ran = {}
        self.ran.setdefault(consumer, state)

    def _refresh_ran(self) -> dict[Source, State]:
        """Bring the observed computeds that ran up to date; those may bring in others."""
        looked: dict[Source, State] = {}
        settled = -1
        while settled < len(self.ran):
            settled = len(self.ran)
            for consumer in list(self.ran):
                if isinstance(consumer, Computed) and consumer._observers:
                    looked[consumer] = consumer._refresh()
        return looked

    def _restored(self, looked: dict[Source, State]) -> Restored:
        """Find what has its old value again."""
        found: Restored = {}
        assert self.first is not None
        sets = {self.first: (self.was, self.set_at), **self.more}
        for signal, (before, first) in sets.items():
            now = signal._state
            if now[CHANGED] != first and not really_differs(
                signal._differs, before[VALUE], now[VALUE]
            ):
                found[signal] = before, now, first
        for computed, now in looked.items():
            assert isinstance(computed, Computed)
            old = self.ran[computed]
            if (
                old is not None
                and now[CHANGED] != old[CHANGED]
                and not really_differs(computed._differs, old[VALUE], now[VALUE])
            ):
                found[computed] = old, now, old[CHECKED] + 1
        return found

    def _tell(
        self,
        first: Source,
        looked: dict[Source, State],
        restored: Restored,
        effects: list[Consumer],
    ) -> None:
        """Mark what depends on what has really changed; under the guard."""
        number = world.now + 1
        if restored or self.ran is not NONE:
            self._tell_looked(first, looked, restored, number, effects)
        else:
            if first._observers:
                mark(first, number, effects)
            for signal in self.more:
                if signal._observers:
                    mark(signal, number, effects)
        opened = world.open
        opened.remove(self)
        world.now = number  # when all marks are in place
        if not opened:
            world.calm = number

    def _tell_looked(
        self,
        first: Source,
        looked: dict[Source, State],
        restored: Restored,
        number: int,
        effects: list[Consumer],
    ) -> None:
        """Mark likewise if something has looked, or is as it was."""
        told = {consumer for consumer in self.ran if consumer._queued and consumer._dirty}
        for source, (before, now, _) in list(restored.items()):
            if source._state is now:
                source._state = now[VALUE], before[CHANGED], now[CHECKED]
                world.restored_at = number
            else:
                del restored[source]  # another thread has changed it just now
        for signal in (first, *self.more):
            if signal not in restored and signal._observers:
                mark(signal, number, effects)
        for consumer in self.ran:  # may have seen what is told now: it has to look
            if isinstance(consumer, Computed):
                consumer._dirty = consumer in told
                if restored and consumer not in looked:  # may have seen a value in between
                    consumer._dirty = True
                    spread([consumer] if consumer._observers else [], number, effects)
            elif isinstance(consumer, Effect):
                consumer._dirty = consumer in told or any(
                    _between(consumer._seen, restored.get(dep)) for dep in consumer._deps
                )
                spread([consumer] if restored else [], number, effects)


def _between(seen: int, restored: tuple[State, State, int] | None) -> bool:
    """Say whether a run that began at `seen` may have seen a value in between."""
    return restored is not None and restored[2] <= seen < restored[1][CHANGED]


_batch: ContextVar[batch | None] = ContextVar("edgekernel_batch", default=None)
get_batch, set_batch, reset_batch = _batch.get, _batch.set, _batch.reset
