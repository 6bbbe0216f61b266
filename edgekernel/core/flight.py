"""Flight: one run of an asynchronous effect, from its first step on the event loop to its end.

Its steps run on the event loop, beside handlers and other effects. What it reads is tracked in
every step, before and after each `await`, and followed from the end of that step on, so that a
change of it is known while the run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.computed import CHAIN, TooDeep, settle_deep
from edgekernel.core.graph import (
    BEFORE,
    CHANGED,
    END,
    Flow,
    Run,
    Source,
    follow,
    guard,
    here,
    observe,
    world,
)

if TYPE_CHECKING:
    from edgekernel.core.effect import Effect
    from edgekernel.core.tasks import Task

LAG_LIMIT_S = 60.0
"""How long a run may go on after a change of what it has read, before that is told."""


class Flight(Coroutine[Any, Any, Any]):
    """Steps the coroutine of an effect, with what it reads tracked for the effect.

    A run may take any time, so one that lags behind is told (`Watched`), and is no problem.
    """

    limit_ns: int | None = int(LAG_LIMIT_S * NANOSECONDS)

    def __init__(
        self,
        effect: Effect,
        coroutine: Coroutine[Any, Any, Any],
        run: Run,
        landed: Callable[[Any, BaseException | None], object],
    ) -> None:
        """Fly `coroutine` for `effect`; `landed` is told what came of it, on the event loop."""
        self._effect = effect
        self._coroutine = coroutine
        self._run = run
        self._inner: Run | None = run  # what tracks at the moment: `untracked` puts another here
        self._landed = landed
        self._task: Task | None = None
        self._cancelled = self._again = self._hung = self._over = False
        self.begun_ns: int | None = None
        """Since when it lags behind a change, on the monotonic time."""

    @property
    def again(self) -> bool:
        """Whether it is to be followed by another run."""
        return self._again

    @again.setter
    def again(self, again: bool) -> None:
        first, self._again = again and not self._again, again
        watchdog = self._effect._turns.watchdog
        if not first or self._over or watchdog is None:
            return
        self.begun_ns = self._effect._turns.clock.monotonic_ns()
        watchdog.watch(self)
        watchdog.look()
        if self._over:  # meanwhile
            watchdog.forget(self)

    def start(self) -> None:
        """Begin on the event loop of the effect's turn queue."""
        tasks = self._effect.tasks()
        self._task = tasks.start(self, self._land, self._effect.label)
        if self._cancelled:
            self._task.cancel()

    def cancel(self) -> None:
        """Let `CancelledError` be raised where it waits."""
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()

    @property
    def cancelled(self) -> bool:
        """Whether the effect has asked for the end, and nobody else."""
        return self._cancelled

    def _land(self, result: Any, error: BaseException | None) -> None:
        self._over = True
        watchdog = self._effect._turns.watchdog
        if watchdog is not None and self.begun_ns is not None:
            self.begun_ns = None
            watchdog.forget(self)
            if self._hung:
                watchdog.look()
        self._landed(result, error)

    def mark_hung(self, hung: bool) -> None:
        """Let the watchdog look when it has landed."""
        self._hung = hung

    def hangs(self, seconds: float) -> None:
        """Tell that it goes on although what it has read has changed."""
        from edgekernel.core.message import EffectLags  # where no effect lags nobody needs it

        watchdog = self._effect._turns.watchdog
        if watchdog is not None:
            watchdog.tell(EffectLags(self._effect.label, seconds))

    def recovered(self, seconds: float) -> None:
        """Nothing: it is followed by a run at once."""

    def problem(self) -> str:
        """Return nothing: all others go on."""
        return ""

    def superseded(self, flow: Flow) -> bool:
        """Say whether anything it has read so far has changed since."""
        began = self._run.began
        for source, number in list(self._run.has_read().items()):
            try:
                changed = source._settle(flow, 0, CHAIN)[CHANGED]
            except TooDeep as deep:
                settle_deep(flow, deep)
                changed = source._settle(flow, 0, CHAIN)[CHANGED]
            if changed > began if number == BEFORE else changed != number:
                return True
        return False

    def settle(self, deps: list[Source]) -> None:
        """Follow exactly what was read, so far `deps`; note whether it is to run again."""
        flow, effect = here(), self._effect
        while True:
            now = world.now
            stale = self.again or self.superseded(flow)
            guard.take()
            try:
                if world.now != now and not stale:
                    continue  # something has changed just now: look again
                for batch in world.open:
                    batch.note_run(effect, None)
                reads = self._run.has_read()
                if not effect._disposed and [*reads, END] != deps:
                    follow(effect, reads, [*reads, END], observed=True)
                effect._dirty, effect._seen = stale, now
                return
            finally:
                guard.free = True

    def send(self, value: Any) -> Any:
        """Run to the next `await`."""
        return self._step(self._coroutine.send, value)

    def throw(
        self,
        kind: Any,
        value: BaseException | object = None,
        trace: TracebackType | None = None,
    ) -> Any:
        """Raise where it waits, and run to the next `await`."""
        error = kind if isinstance(kind, BaseException) else value or kind
        return self._step(self._coroutine.throw, error)

    def close(self) -> None:
        """End it where it waits."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise TypeError("the run of an effect is a task of its own")

    def _step(self, go_on: Callable[[Any], Any], what: Any) -> Any:
        flow = here()
        outer, flow.run = flow.run, self._inner
        try:
            return go_on(what)
        finally:
            self._inner, flow.run = flow.run, outer
            self._follow_more()

    def _follow_more(self) -> None:
        """Hear of changes of what was read since the step before."""
        effect, reads = self._effect, self._run.reads
        if reads is None or effect._disposed:
            return
        guard.take()
        try:
            new = [source for source in reads if effect not in source._observers]
            if new and not effect._disposed:
                effect._deps = [*dict.fromkeys([*effect._deps[:-1], *reads]), END]
                for source in new:
                    observe(source, effect)
        finally:
            guard.free = True
        if new and self.superseded(here()):
            effect.look_again()
