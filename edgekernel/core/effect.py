"""Effect: a function that runs again, as a turn, whenever a value it has read changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import cast

from edgekernel.core.graph import (
    CHECK,
    CLEAN,
    DIRTY,
    Consumer,
    Derived,
    Reacting,
    Source,
    Tracker,
    current,
    guard,
    unobserve,
    untracked,
)
from edgekernel.core.turns import Turn, TurnQueue, current_queue

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


class Effect(Reacting):
    """A function that runs now, and again whenever a value it has read changes.

    It runs as a turn. It may return a function that cleans up before the next run and at
    dispose. Effects and computeds made while it runs belong to it and go with the run. An
    effect lives, without any other reference to it, as long as the signals it has read.
    """

    __slots__ = (
        "__weakref__", "_cleanup", "_disposed", "_fallbacks", "_function", "_held", "_number",
        "_on_error", "_owned", "_turns", "name",
    )  # fmt: skip

    _numbers = count()

    def __init__(
        self,
        function: Callable[[], object],
        *,
        lazy: bool = False,
        on_error: Callable[[Exception], object] | None = None,
        name: str = "",
    ) -> None:
        """Run `function` as an effect.

        With `lazy` the first run waits for `run()`. `on_error` is given what the function
        raises; without it the turn queue's owner (the runtime) reports it. After an error the
        effect still depends on what it had read.
        """
        super().__init__()
        parent = running_effect()
        self._function = function
        self._on_error = on_error
        self._cleanup: Callable[[], object] | None = None
        self._fallbacks: dict[Callable[[], object], None] = {}
        self._owned: list[Effect] = []
        self._number = next(self._numbers)
        self._disposed = False
        self._held = False  # its next turn was cut: it waits for a change
        self._turns: TurnQueue = parent._turns if parent else current_queue.get() or _standalone
        self.name = name or getattr(function, "__qualname__", "effect")
        siblings = _made.get() if parent is None else parent._owned
        if siblings is not None:
            siblings.append(self)
        if not lazy:
            self.run()

    def run(self) -> None:
        """Run it now, whether or not anything has changed."""
        with guard:
            self._mark = DIRTY
            self._queued = True
        if self._turns.inside():
            self._step()
        else:
            self._turns.submit(_EffectTurn(self))

    def when_failed(self, fallback: Callable[[], object]) -> None:
        """Call `fallback` if this effect fails, now or in a later run; once for each run."""
        self._fallbacks[fallback] = None

    def dispose(self) -> None:
        """Never run it again; clean up. What it owns goes with it."""
        with guard:
            self._disposed = True
            for source in self._sources:
                unobserve(source, self)
            self._sources = {}
        self._clean_up()

    def _step(self) -> None:
        """One turn: look whether there is a reason to run, and run."""
        with guard:
            self._queued = self._held = False
            mark, self._mark = self._mark, CLEAN
        if self._disposed or mark == CLEAN:
            return
        try:
            if mark == CHECK and not self._sources_changed(0):
                self._settle(None)
                return
            self._clean_up()
            self._execute()
        except Exception as error:
            self._failed(error)

    def _execute(self) -> None:
        tracker = Tracker(self, current.get(), 0)
        token = current.set(tracker)
        try:
            cleanup = self._function()
            if callable(cleanup):
                self._cleanup = cleanup
        finally:
            current.reset(token)
            tracker.consumer = None  # what a task begun in it reads from now on is not its own
            self._settle(tracker.reads)
            if self._disposed:  # while it ran
                self._clean_up()

    def _settle(self, reads: dict[Source, int] | None) -> None:
        """Follow what was read; come again if that has changed meanwhile."""
        with guard:
            if self._disposed:
                return
            if reads is not None:
                self._follow(reads, observed=True)
            self._mark = max(self._mark, self._outdated())
            again = self._mark != CLEAN and not self._queued and not self._held
            self._queued = self._queued or again
        if again:
            self._turns.submit(_EffectTurn(self))

    def _cut(self) -> None:
        """Its turn was cut out of a feedback loop: wait for the next change."""
        with guard:
            self._queued, self._held = False, True
            work: list[Consumer] = [self]
            for consumer in work:  # grows while it is walked
                for source in consumer._sources:
                    if isinstance(source, Derived) and not source._cut:
                        source._cut = True
                        work.append(source)

    def _clean_up(self) -> None:
        with guard:
            owned, self._owned = self._owned, []
            cleanup, self._cleanup = self._cleanup, None
        for effect in owned:
            effect.dispose()
        if cleanup is not None:
            try:
                with untracked():
                    cleanup()
            except Exception as error:
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        for fallback in list(self._fallbacks):
            try:
                fallback()
            except Exception as another:
                self._turns.failed(f"effect {self.name}: fallback", another)
        if self._on_error is not None:
            try:
                self._on_error(error)
                return
            except Exception as another:
                error = another
        self._turns.failed(f"effect {self.name}", error)

    def __repr__(self) -> str:
        return f"<Effect {self.name}>"


def running_effect() -> Effect | None:
    """Return the effect whose function runs here, if one does."""
    tracker = current.get()
    while tracker is not None and not isinstance(tracker.consumer, Effect):
        tracker = tracker.outer
    return cast("Effect | None", tracker.consumer) if tracker is not None else None


class _EffectTurn(Turn):
    __slots__ = ("_effect",)

    def __init__(self, effect: Effect) -> None:
        self._effect = effect

    @property
    def label(self) -> str:
        return f"effect {self._effect.name}"

    def run(self) -> None:
        self._effect._step()

    def cut(self) -> None:
        self._effect._cut()


def queue(effects: Iterable[Reacting]) -> None:
    """Submit effects as turns, in the order in which they were made."""
    by_queue: dict[TurnQueue, list[Effect]] = {}
    for effect in sorted(cast("Iterable[Effect]", effects), key=lambda effect: effect._number):
        by_queue.setdefault(effect._turns, []).append(effect)
    for turns, members in by_queue.items():
        turns.submit(*(_EffectTurn(effect) for effect in members))
