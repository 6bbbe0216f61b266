"""Signal, Computed and Effect: values that know who depends on them (promise P4).

A `Signal` holds a value. A `Computed` derives one, lazily, and caches it. An `Effect` runs a
function again whenever a value it has read changes. What is read is found out while the function
runs. Effects run as turns (see `turns`); nothing of the user's ever runs under a lock.

How it stays exact with threads: every change of a value gets a new version, and whoever computes
remembers the version of each value it has read, from before it read the value. A result is
kept only if those versions still hold when it is stored; otherwise it is computed again. Setting
a signal marks its direct dependants DIRTY and the ones behind them CHECK; a node marked CHECK
asks its sources in order and runs only if one of them has really changed. While a node is marked,
all that observes it is marked too, queued or running, and so need not be marked again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from edgekernel.core.errors import CycleError, ReactiveError
from edgekernel.core.turns import Turn, TurnQueue, current_queue

T = TypeVar("T")

_CLEAN, _CHECK, _DIRTY = range(3)
_UNSETTLED = -1
"""The version of a result that was never stored; it fits no version that is."""
_DEEP = 40
"""How many computeds may compute one another on the stack before the deepest goes first."""
_ATTEMPTS = 5
"""How often a computed that other threads keep overtaking is computed before its reader gets the
latest result, uncached."""

_guard = threading.Lock()  # around short changes of the graph; never around user code
_stamps = count(1)  # versions; never the same twice
_tracker: ContextVar[_Tracker | None] = ContextVar("edgekernel_tracker", default=None)
_batch: ContextVar[_Batch | None] = ContextVar("edgekernel_batch", default=None)
_standalone = TurnQueue()
_writes = 0  # how many changes there were; a computed nobody observes is fresh while it stands
_open: dict[_Batch, None] = {}  # batches with sets whose marks are still to come


class _Tracker:
    """Remembers what one run of one consumer has read, with the version of each."""

    __slots__ = ("consumer", "depth", "outer", "reads", "root")

    def __init__(self, consumer: _Consumer | None, outer: _Tracker | None, depth: int) -> None:
        self.consumer = consumer
        self.depth = depth  # of computeds on the stack
        self.outer = outer
        self.root: _Tracker = self if outer is None else outer.root
        self.reads: dict[_Source, int] = {}


class _Source:
    """What can be read: has a version and the consumers that want to hear of changes."""

    __slots__ = ("_observers", "_version")

    def __init__(self) -> None:
        self._version = 0
        self._observers: dict[_Consumer, None] = {}

    def _tracked(self) -> None:
        tracker = _tracker.get()
        if tracker is not None and tracker.consumer is not None:
            tracker.reads.setdefault(self, self._version)


class _Consumer:
    """What reads: has sources with the version it has seen of each, and a mark."""

    if not TYPE_CHECKING:  # mypy takes these for all the slots there are
        __slots__ = ()  # the slots are in the subclasses: two bases cannot both have some

    _sources: dict[_Source, int]
    _mark: int

    def _sources_changed(self, depth: int) -> bool:
        """Bring the sources up to date, in order; stop at the first that has changed."""
        for source, seen in list(self._sources.items()):
            if isinstance(source, Computed) and source._refresh(depth) is not None:
                return True
            if source._version != seen:
                return True
        return False

    def _outdated(self) -> int:
        """Return the mark that the versions call for; under the guard."""
        mark = _CLEAN
        for source, seen in self._sources.items():
            if source._version != seen:
                return _DIRTY
            if isinstance(source, Computed) and source._mark != _CLEAN:
                mark = _CHECK
        return mark

    def _follow(self, reads: dict[_Source, int], *, observe: bool) -> None:
        """Make `reads` the sources; under the guard."""
        old, self._sources = self._sources, reads
        if not observe:
            return
        for source in old:
            if source not in reads:
                _unobserve(source, self)
        for source in reads:
            _observe(source, self)


def _observe(source: _Source, consumer: _Consumer) -> None:
    """Make `consumer` hear of changes of `source`, and what is behind it; under the guard."""
    work = [(source, consumer)]
    while work:
        source, consumer = work.pop()
        first = not source._observers
        source._observers[consumer] = None
        if first and isinstance(source, Computed):
            source._mark = _CLEAN if source._checked_at == _writes else max(source._mark, _CHECK)
            work.extend((behind, source) for behind in source._sources)


def _unobserve(source: _Source, consumer: _Consumer) -> None:
    """Make `consumer` no longer hear of `source`, nor what only it needed; under the guard."""
    work = [(source, consumer)]
    while work:
        source, consumer = work.pop()
        source._observers.pop(consumer, None)
        if not source._observers and isinstance(source, Computed):
            source._checked_at = _writes if source._mark == _CLEAN and not _open else -1
            work.extend((behind, source) for behind in source._sources)


def _mark_observers(source: _Source) -> list[Effect]:
    """Mark what depends on `source`; return the effects to queue. Under the guard."""
    effects: list[Effect] = []
    reached: list[Computed[Any]] = []

    def reach(consumer: _Consumer, mark: int) -> None:
        if isinstance(consumer, Effect):
            if not consumer._queued:
                consumer._queued = True
                effects.append(consumer)
        elif isinstance(consumer, Computed) and (consumer._mark == _CLEAN or consumer._cut):
            consumer._cut = False
            reached.append(consumer)
        consumer._mark = max(consumer._mark, mark)

    unsettled = isinstance(source, Computed) and source._mark != _CLEAN
    for consumer in source._observers:
        if consumer._sources.get(source) != source._version:
            reach(consumer, _DIRTY)
        elif unsettled:
            reach(consumer, _CHECK)
    for computed in reached:  # grows while it is walked: breadth first, no recursion
        for consumer in computed._observers:
            reach(consumer, _CHECK)
    return effects


def _queue(effects: Iterable[Effect]) -> None:
    """Submit effects as turns, in the order in which they were made."""
    by_queue: dict[TurnQueue, list[Effect]] = {}
    for effect in sorted(effects, key=lambda effect: effect._number):
        by_queue.setdefault(effect._turns, []).append(effect)
    for turns, members in by_queue.items():
        turns.submit(*(_EffectTurn(effect) for effect in members))


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
            if not _really_differs(source, before[0], value)
        }
        effects: dict[Effect, None] = {}
        with _guard:
            self.closed = True
            _open.pop(self, None)
            for source, version in restored.items():
                if source._version == version:
                    _accept(source, self.before[source][1])
            for source in self.before:
                effects.update(dict.fromkeys(_mark_observers(source)))
        _queue(effects)


def _accept(source: _Source, version: int) -> None:
    """Let those who have seen `version` take the present one for the same; under the guard."""
    for consumer in source._observers:
        if consumer._sources.get(source) == version:
            consumer._sources[source] = source._version


def _really_differs(source: Signal[Any] | Computed[Any], old: Any, new: Any) -> bool:
    try:
        return source._differs(old, new)
    except Exception:  # what cannot be compared has changed: nothing is hidden
        return True


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


@contextmanager
def untracked() -> Iterator[None]:
    """Read signals without depending on them."""
    outer = _tracker.get()
    token = _tracker.set(_Tracker(None, outer, outer.depth if outer else 0))
    try:
        yield
    finally:
        _tracker.reset(token)


def _never_equal(old: object, new: object) -> bool:
    return False


class Signal(_Source, Generic[T]):
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
        global _writes  # noqa: PLW0603 (one graph per process, as signals belong to no runtime)
        while True:
            old, version = self._versioned()
            if not self._differs(old, value):
                return
            opened = _current_batch()
            with _guard:
                if self._version != version:
                    continue  # another thread was faster: compare with its value
                if opened is not None:
                    opened.before.setdefault(self, (old, version))
                    _open[opened] = None
                self._value = value  # value first: who reads in between sees the old version
                self._version = next(_stamps)
                _writes += 1
                effects = [] if opened is not None else _mark_observers(self)
            break
        if effects:
            _queue(effects)

    @property
    def value(self) -> T:
        """The value: reading is `get`, assigning is `set`."""
        return self.get()

    @value.setter
    def value(self, value: T) -> None:
        self.set(value)

    def _versioned(self) -> tuple[T, int]:
        with _guard:
            return self._value, self._version

    def _differs(self, old: T, new: T) -> bool:
        if self._equals is None:
            return old is not new and bool(old != new)
        return not self._equals(old, new)

    def __repr__(self) -> str:
        return f"<Signal {self.name or hex(id(self))} = {self._value!r}>"


_Result = tuple[Any, Exception | None, TracebackType | None]


class _TooDeep(BaseException):
    """Unwinds a long chain of computeds to where it began; `member` is to be computed first."""

    def __init__(self, member: Computed[Any]) -> None:
        self.member = member


class Computed(_Source, _Consumer, Generic[T]):
    """A value derived from others: computed when it is read, and only if one of them changed.

    If the function raises, reading raises the same error until one of its inputs changes.
    """

    __slots__ = (
        "__weakref__", "_checked_at", "_cut", "_equals", "_function", "_mark", "_result", "_root",
        "_sources", "name",
    )  # fmt: skip

    def __init__(
        self,
        function: Callable[[], T],
        *,
        equals: Callable[[T, T], bool] | None = None,
        name: str = "",
    ) -> None:
        """Derive a value with `function`, which should do nothing else than compute it."""
        super().__init__()
        self._sources = {}
        self._mark = _DIRTY
        self._function: Callable[[], T] | None = function
        self._equals = equals
        self._result: _Result | None = None
        self._checked_at = -1
        self._cut = False  # an effect behind it was cut, and so is not marked with it
        self._root: _Tracker | None = None
        self.name = name or getattr(function, "__qualname__", "computed")

    def get(self) -> T:
        """Return the value, computing it if need be; inside a computed or effect, depend on it."""
        tracker = _tracker.get()
        latest = self._refresh(tracker.depth if tracker else 0)
        if latest is None:
            self._tracked()
        elif tracker is not None and tracker.consumer is not None:
            tracker.reads[self] = _UNSETTLED
        return self._outcome(latest)

    def peek(self) -> T:
        """Return the value, computing it if need be, without depending on it."""
        tracker = _tracker.get()
        return self._outcome(self._refresh(tracker.depth if tracker else 0))

    __call__ = get

    @property
    def value(self) -> T:
        """The value; the same as `get`."""
        return self.get()

    def dispose(self) -> None:
        """Keep the last value and follow the inputs no longer."""
        with _guard:
            for source in self._sources:
                _unobserve(source, self)
            self._sources = {}
            self._function = None
            self._mark = _CLEAN

    def _outcome(self, latest: _Result | None) -> T:
        result = latest or self._result
        if result is None:
            raise ReactiveError(f"{self.name}: disposed before it had a value")
        value, error, traceback = result
        if error is not None:
            raise error.with_traceback(traceback)
        return cast(T, value)

    def _versioned(self) -> tuple[_Result | None, int]:
        with _guard:
            return self._result, self._version

    def _refresh(self, depth: int) -> _Result | None:
        """Bring the result up to date; return the latest one if it could not be stored."""
        if self._trusted():
            return None
        if depth > _DEEP:
            raise _TooDeep(self)
        if depth > 0:
            return self._settle(depth)
        first = [self]  # the last of them is needed by the one before it
        while True:
            try:
                latest = first[-1]._settle(depth)
            except _TooDeep as deep:
                if deep.member in first:
                    names = [c.name for c in (*first[first.index(deep.member) :], deep.member)]
                    raise CycleError(f"computeds need one another: {' -> '.join(names)}") from None
                first.append(deep.member)
                continue
            first.pop()
            if not first:
                return latest

    def _settle(self, depth: int) -> _Result | None:
        latest = None
        for _ in range(_ATTEMPTS):
            if self._fresh(depth):
                return None
            latest, stored, again = self._compute(depth)
            if stored:
                return None
            if not again:
                break
        known = self._result
        same = latest and known and not _really_differs(self, known, latest)
        return None if same else latest

    def _trusted(self) -> bool:
        """Say whether it is up to date without a look at its sources."""
        if self._function is None:
            return True
        clean = self._observers and self._mark == _CLEAN and not _open
        return bool(clean) or self._checked_at == _writes

    def _fresh(self, depth: int) -> bool:
        if self._trusted():
            return True
        writes = _writes
        if self._result is None or (self._mark == _DIRTY and self._observers):
            return False
        if self._sources_changed(depth + 1):
            return False
        with _guard:
            if self._observers:
                self._mark = self._outdated()
            if writes == _writes:
                self._mark = _CLEAN
                self._checked_at = writes
        return True

    def _compute(self, depth: int) -> tuple[_Result, bool, bool]:
        """Return the result, whether it is stored, and if not, whether to try again."""
        outer = _tracker.get()
        tracker = _Tracker(self, outer, depth + 1)
        if self._root is tracker.root:
            raise CycleError(f"a computed needs its own value: {_cycle(self, outer)}")
        mine = self._root is None
        if mine:
            self._root = tracker.root
        before, writes = self._result, _writes
        token = _tracker.set(tracker)
        try:
            function = self._function
            if function is None:  # disposed by another thread just now
                return before or (None, None, None), False, False
            result: _Result = (function(), None, None)
        except Exception as error:
            result = (None, error, error.__traceback__)
        finally:
            _tracker.reset(token)
            tracker.consumer = None  # what a task begun in it reads from now on is not its own
            if mine:
                self._root = None
        stored = self._store(before, result, tracker.reads, writes)
        return result, stored, _UNSETTLED not in tracker.reads.values()

    def _store(
        self,
        before: _Result | None,
        result: _Result,
        reads: dict[_Source, int],
        writes: int,
    ) -> bool:
        """Keep a result unless other threads have overtaken it; say whether it was kept."""
        try:
            changed = before is None or self._differs(before, result)
        except Exception as error:  # what cannot be compared has that as its value
            result, changed = (None, error, error.__traceback__), True
        with _guard:
            if self._result is not before or self._function is None:
                return False  # another thread has stored its result, or dispose came
            if any(source._version != seen for source, seen in reads.items()):
                return False
            old = self._version
            self._follow(reads, observe=bool(self._observers))
            if changed:
                self._result = result
                self._version = next(_stamps)
            self._mark = self._outdated()
            self._checked_at = writes if self._mark == _CLEAN else -1
            if self._observers and (changed or self._mark != _CLEAN):
                # Computed in the middle of a batch: who depends on it hears at the end.
                for opened in _open:
                    opened.before.setdefault(self, (before, old))
        return True

    def _differs(self, old: _Result, new: _Result) -> bool:
        if old[1] is not None or new[1] is not None:
            return type(old[1]) is not type(new[1]) or str(old[1]) != str(new[1])
        if self._equals is not None:
            return not self._equals(old[0], new[0])
        return old[0] is not new[0] and bool(old[0] != new[0])

    def __repr__(self) -> str:
        return f"<Computed {self.name}>"


def _cycle(member: Computed[Any], tracker: _Tracker | None) -> str:
    """Name the members, and let the last, which cannot follow the first, follow all they read."""
    names, last = [member.name], tracker
    while tracker is not None and last is not None:
        last.reads.update((s, seen) for s, seen in tracker.reads.items() if s not in last.reads)
        if tracker.consumer is member:
            break
        if isinstance(tracker.consumer, Computed | Effect):
            names.append(tracker.consumer.name)
        tracker = tracker.outer
    return " -> ".join([member.name, *reversed(names)])


class Effect(_Consumer):
    """A function that runs now, and again whenever a value it has read changes.

    It runs as a turn. It may return a function that cleans up before the next run and at
    dispose. Effects and computeds made while it runs belong to it and go with the run. An
    effect lives, without any other reference to it, as long as the signals it has read.
    """

    __slots__ = (
        "__weakref__", "_cleanup", "_disposed", "_function", "_held", "_mark", "_number",
        "_on_error", "_owned", "_queued", "_sources", "_turns", "name",
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
        self._sources = {}
        self._mark = _DIRTY
        owner = _tracker.get()
        while owner is not None and not isinstance(owner.consumer, Effect):
            owner = owner.outer
        parent = cast("Effect | None", owner.consumer if owner else None)
        self._function = function
        self._on_error = on_error
        self._cleanup: Callable[[], object] | None = None
        self._owned: list[Effect] = []
        self._number = next(self._numbers)
        self._disposed = False
        self._queued = False
        self._held = False  # its next turn was cut: it waits for a change
        self._turns: TurnQueue = parent._turns if parent else current_queue.get() or _standalone
        self.name = name or getattr(function, "__qualname__", "effect")
        if parent is not None:
            parent._owned.append(self)
        if not lazy:
            self.run()

    def run(self) -> None:
        """Run it now, whether or not anything has changed."""
        with _guard:
            self._mark = _DIRTY
            self._queued = True
        if self._turns.inside():
            self._step()
        else:
            self._turns.submit(_EffectTurn(self))

    def dispose(self) -> None:
        """Never run it again; clean up. What it owns goes with it."""
        with _guard:
            self._disposed = True
            for source in self._sources:
                _unobserve(source, self)
            self._sources = {}
        self._clean_up()

    def _step(self) -> None:
        """One turn: look whether there is a reason to run, and run."""
        with _guard:
            self._queued = self._held = False
            mark, self._mark = self._mark, _CLEAN
        if self._disposed or mark == _CLEAN:
            return
        try:
            if mark == _CHECK and not self._sources_changed(0):
                self._settle(None)
                return
            self._clean_up()
            self._execute()
        except Exception as error:
            self._failed(error)

    def _execute(self) -> None:
        tracker = _Tracker(self, _tracker.get(), 0)
        token = _tracker.set(tracker)
        try:
            cleanup = self._function()
            if callable(cleanup):
                self._cleanup = cleanup
        finally:
            _tracker.reset(token)
            tracker.consumer = None  # what a task begun in it reads from now on is not its own
            self._settle(tracker.reads)
            if self._disposed:  # while it ran
                self._clean_up()

    def _settle(self, reads: dict[_Source, int] | None) -> None:
        """Follow what was read; come again if that has changed meanwhile."""
        with _guard:
            if self._disposed:
                return
            if reads is not None:
                self._follow(reads, observe=True)
            self._mark = max(self._mark, self._outdated())
            again = self._mark != _CLEAN and not self._queued and not self._held
            self._queued = self._queued or again
        if again:
            self._turns.submit(_EffectTurn(self))

    def _cut(self) -> None:
        """Its turn was cut out of a feedback loop: wait for the next change."""
        with _guard:
            self._queued, self._held = False, True
            work: list[_Consumer] = [self]
            for consumer in work:  # grows while it is walked
                for source in consumer._sources:
                    if isinstance(source, Computed) and not source._cut:
                        source._cut = True
                        work.append(source)

    def _clean_up(self) -> None:
        with _guard:
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
        if self._on_error is not None:
            try:
                self._on_error(error)
                return
            except Exception as another:
                error = another
        self._turns.failed(f"effect {self.name}", error)

    def __repr__(self) -> str:
        return f"<Effect {self.name}>"


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
