"""Effect: a function that runs again, as a turn, whenever a value it has read changes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from operator import attrgetter
from typing import Any, cast

from edgekernel.core.computed import CHAIN, TooDeep, settle_deep
from edgekernel.core.errors import ReactiveError, of_user_code
from edgekernel.core.flight import Flight
from edgekernel.core.graph import (
    END,
    NOTHING,
    Consumer,
    Flow,
    Run,
    follow,
    get_flow,
    guard,
    here,
    overtaken,
    run_of,
    unobserve,
    untracked,
    world,
)
from edgekernel.core.tasks import Tasks
from edgekernel.core.turn import Cause, Turn
from edgekernel.core.turns import TurnQueue, current_queue

_standalone = TurnQueue()

_made: ContextVar[list[Effect] | None] = ContextVar("edgekernel_made", default=None)


@contextmanager
def collecting(made: list[Effect]) -> Iterator[None]:
    """Append to `made` the effects that are made inside and belong to no other effect."""
    token = _made.set(made)
    try:
        yield
    finally:
        _made.reset(token)


class Effect(Turn, Consumer):
    """A function that runs now, and again whenever a value it has read changes.

    It runs as a turn. It may return a function that cleans up before the next run and at
    dispose. Effects and computeds made while it runs belong to it and go with the run. An
    effect lives, without any other reference to it, as long as the signals it has read.
    """

    __slots__ = (
        "__weakref__", "_again", "_cancels", "_cause", "_cleanup", "_deps", "_dirty", "_disposed",
        "_fallbacks", "_flight", "_function", "_marked", "_name", "_number", "_on_error",
        "_owned", "_queued", "_run", "_running", "_seen", "_submitter", "_turns",
    )  # fmt: skip

    _turns: TurnQueue

    _numbers = count()
    _observers: Any = ()  # nobody can observe an effect

    def __init__(
        self,
        function: Callable[[], object],
        *,
        lazy: bool = False,
        cancel_on_supersede: bool = False,
        on_error: Callable[[Any], object] | None = None,
        name: str = "",
    ) -> None:
        """Run `function` as an effect.

        With `lazy` the first run waits for `run()`. `on_error` is given what the function
        raises; without it the turn queue's owner (the runtime) reports it. After an error the
        effect still depends on what it had read.

        An `async` function runs on the event loop, beside turns, one run at a time. When what it
        has read changes meanwhile it runs once more afterwards; `is_stale` tells it so, and with
        `cancel_on_supersede` the run is cancelled instead of waited for.
        """
        parent = running_effect() if get_flow().run is not None else None
        self._deps = NOTHING
        self._marked = self._seen = -1
        self._dirty = self._queued = not lazy
        self._disposed = self._again = self._running = False
        self._run = run_of(self)
        self._flight: Flight | None = None
        self._cancels = cancel_on_supersede
        self._cause: Cause | None = None
        self._function = function
        self._on_error = on_error
        self._cleanup: Callable[[], object] | None = None
        self._fallbacks: dict[Callable[[], object], None] | None = None
        self._owned: list[Effect] | None = None
        self._number = next(self._numbers)
        self._name = name
        if parent is not None:
            turns = self._turns = parent._turns
            if parent._owned is None:
                parent._owned = []
            parent._owned.append(self)
        else:
            turns = self._turns = current_queue.get() or _standalone
            siblings = _made.get()
            if siblings is not None:
                siblings.append(self)
        if not lazy:
            if turns.inside():
                here()
                self.step()
            else:
                turns.submit_one(self, Effect.step)

    @property
    def name(self) -> str:
        """What it was called, or else its function."""
        return self._name or getattr(self._function, "__qualname__", "effect")

    @property
    def label(self) -> str:
        """What it is called in reports."""
        return f"effect {self.name}"

    def run(self) -> None:
        """Run it now, whether or not anything has changed; while it runs, once more after that."""
        if self._running or self._flight is not None:
            self._again = True
            self._supersede()
            return
        guard.take()
        try:
            self._dirty = True
            queued, self._queued = self._queued, True
        finally:
            guard.free = True
        if self._turns.inside():
            here()
            self.step()
        elif not queued:
            self._turns.submit(self)

    def when_failed(self, fallback: Callable[[], object]) -> None:
        """Call `fallback` if this effect fails, now or in a later run; once for each run."""
        self._fallbacks = self._fallbacks or {}
        self._fallbacks[fallback] = None

    def fallbacks(self) -> list[Callable[[], object]]:
        """Return what is called if this effect fails, or one that it owns."""
        owned = [each for effect in self._owned or () for each in effect.fallbacks()]
        return [*(self._fallbacks or ()), *owned]

    def dispose(self) -> None:
        """Never run it again; clean up. What it owns goes with it."""
        guard.take()
        try:
            self._disposed = self._again = True  # if it runs just now: it has more to do then
            for source in self._deps:
                unobserve(source, self)
            self._deps = NOTHING
        finally:
            guard.free = True
        flight = self._flight
        if flight is not None:
            flight.cancel()
        self._clean_up()

    def step(self) -> None:
        """One turn: look whether there is a reason to run; run, and follow what was read."""
        self._queued = False  # before the look: a change from now on queues it again
        if self._disposed:
            return
        began = world.now
        flow = get_flow()  # that of this thread, see `_context_of` in `turns`
        if self._flight is not None:
            if self._flight.superseded(flow):
                self._supersede()
            return
        try:
            if not self._dirty and not self._sources_changed(flow, began):
                self._seen = began
                return
            if self._cleanup is not None or self._owned is not None:
                self._clean_up()
            run = self._run
            self._dirty = False
            self._seen = began
            self._running = True
            run.deps = deps = self._deps
            run.cursor = run.depth = 0
            run.began = began
            run.outer = outer = flow.run
            flow.run = run
            flies = False  # its reads are followed as it goes on, and it may have landed already
            try:
                cleanup = self._function()
                if cleanup is not None:
                    flies = self._take(cleanup)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):  # as if it had yet to run
                    self._dirty, run.reads, run.cursor = True, None, len(deps) - 1
                raise
            finally:
                flow.run = outer
                run.outer = None
                self._running = False
                if not flies and (
                    run.reads is not None
                    or deps[run.cursor] is not END
                    or self._again
                    or (world.calm != began and (world.open or began < world.restored_at))
                ):
                    self._settle_reads(run, began)
        except BaseException as error:
            self._failed(of_user_code(error))

    def _take(self, made: object) -> bool:
        """Keep what a run has returned, or let it fly; say whether it does."""
        if callable(made):
            self._cleanup = made
            return False
        if hasattr(made, "send") and hasattr(made, "throw"):
            read = self._run.has_read()  # by what has made the coroutine
            self._run = run = run_of(self)
            run.began, run.cursor, run.depth, run.outer = self._seen, 0, 0, None
            if read:
                run.note_each(read)
            self._flight = Flight(self, cast("Coroutine[Any, Any, Any]", made), run, self._landed)
            try:
                self._flight.start()
            except BaseException:
                self._flight = None
                raise
            return True
        return False

    def _supersede(self) -> None:
        """What the run in flight has read has changed: another one follows."""
        flight = self._flight
        if flight is not None:
            flight.again = True
            if self._cancels:
                flight.cancel()

    def _landed(self, result: object, error: BaseException | None) -> None:
        """A run has ended, on the event loop."""
        flight = self._flight
        if flight is None:
            return
        if callable(result):
            self._cleanup = result
        flight.again = flight.again or self._again
        flight.settle(self._deps)
        self._flight = self._run.reads = None
        self._dirty, self._again = self._dirty or self._again, False
        if isinstance(error, Exception):
            self._failed(error)
        elif error is not None and not flight.cancelled:
            self._failed(ReactiveError(f"{self.label}: its run was cancelled by somebody else"))
        if self._disposed:
            self._clean_up()
        else:  # what has changed while it landed has found it still in flight
            self.look_again()

    def look_again(self) -> None:
        """Take a turn to look whether there is a reason to run."""
        guard.take()
        try:
            queued, self._queued = self._queued, True
        finally:
            guard.free = True
        if not queued:
            self._turns.submit(self)

    def tasks(self) -> Tasks:
        """Return the event loop on which its asynchronous runs fly."""
        return self._turns.tasks()

    def cut(self) -> None:
        """Its turn was cut out of a feedback loop: wait for the next change."""
        self._queued = False

    def _sources_changed(self, flow: Flow, began: int) -> bool:
        """Bring the sources up to date, in order; stop at the first that has changed."""
        seen = self._seen
        try:
            for dep in self._deps:
                if dep is END:
                    break
                state = dep._state
                if (state[2] < dep._marked or world.open) and state[2] != began:
                    state = dep._settle(flow, 0, CHAIN)
                if state[1] > seen:
                    return True
        except TooDeep as deep:
            settle_deep(flow, deep)
            return self._sources_changed(flow, began)
        return False

    def _settle_reads(self, run: Run, began: int) -> None:
        """Follow what was read; come again if that has changed meanwhile."""
        reads, run.reads = run.has_read(), None
        submit = False
        try:
            del guard.free
        except AttributeError:
            guard.take()
        try:
            for batch in world.open:
                batch.note_run(self, None)
            if not self._disposed:
                deps = [*reads, END]
                if deps != self._deps:
                    follow(self, reads, deps, observed=True)
                if self._again or (world.calm != began and overtaken(reads, began)):
                    self._dirty = self._dirty or self._again or began < world.restored_at
                    submit, self._queued, self._again = not self._queued, True, False
                else:
                    self._seen, self._dirty = world.now, False
        finally:
            guard.free = True
        if self._disposed:  # while it ran
            self._clean_up()
        elif submit:
            self._turns.submit(self)

    def _clean_up(self) -> None:
        guard.take()
        try:
            owned, self._owned = self._owned, None
            cleanup, self._cleanup = self._cleanup, None
        finally:
            guard.free = True
        for effect in owned or ():
            effect.dispose()
        if cleanup is not None:
            try:
                with untracked():
                    cleanup()
            except BaseException as error:
                self._failed(of_user_code(error))

    def _failed(self, error: BaseException) -> None:
        for fallback in list(self._fallbacks or ()):
            try:
                fallback()
            except BaseException as another:
                self._turns.failed(f"effect {self.name}: fallback", of_user_code(another))
        if self._on_error is not None:
            try:
                self._on_error(error)
                return
            except BaseException as another:
                error = of_user_code(another)
        self._turns.failed(self.label, error)

    def _notify(self, effects: list[Any]) -> None:
        if len(effects) == 1:
            self._turns.submit_one(self, Effect.step)
        else:
            queue(effects)

    def __repr__(self) -> str:
        return f"<Effect {self.name}>"


def running_effect() -> Effect | None:
    """Return the effect whose function runs here, if one does."""
    flow = get_flow()
    run = flow.run
    if run is None or not flow.owned():
        return None
    while run is not None and not isinstance(run.consumer, Effect):
        run = run.outer
    return cast(Effect, run.consumer) if run is not None else None


def is_stale() -> bool:
    """Say whether the run of an asynchronous effect has been overtaken by a change.

    False outside of effects and in effects that are no coroutines: those end before the next turn.
    """
    effect = running_effect()
    flight = effect._flight if effect is not None else None
    return flight is not None and (flight.again or flight.superseded(here()))


_in_order: Callable[[Any], Any] = attrgetter("_number")


def queue(effects: list[Effect]) -> None:
    """Submit effects as turns, in the order in which they were made."""
    effects.sort(key=_in_order)
    turns = effects[0]._turns
    for effect in effects:
        if effect._turns is not turns:
            break
    else:
        turns.submit(*effects)
        return
    by_queue: dict[TurnQueue, list[Effect]] = {}
    for effect in effects:
        by_queue.setdefault(effect._turns, []).append(effect)
    for turns, members in by_queue.items():
        turns.submit(*members)
