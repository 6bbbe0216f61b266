"""Computed: a value derived from others, lazily, and only if one of them changed."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

from edgekernel.core.errors import CycleError, ReactiveError
from edgekernel.core.graph import (
    CLEAN,
    DIRTY,
    Derived,
    Source,
    Tracker,
    changes,
    current,
    guard,
    really_differs,
    stamps,
    unobserve,
)

T = TypeVar("T")

_UNSETTLED = -1
"""The version of a result that was never stored; it fits no version that is."""
_DEEP = 40
"""How many computeds may compute one another on the stack before the deepest goes first."""
_ATTEMPTS = 5
"""How often a computed that other threads keep overtaking is computed before its reader gets the
latest result, uncached."""


_Result = tuple[Any, Exception | None, TracebackType | None]


class _TooDeep(BaseException):
    """Unwinds a long chain of computeds to where it began; `member` is to be computed first."""

    def __init__(self, member: Computed[Any]) -> None:
        self.member = member


class Computed(Derived, Generic[T]):
    """A value derived from others: computed when it is read, and only if one of them changed.

    If the function raises, reading raises the same error until one of its inputs changes.
    """

    __slots__ = ("__weakref__", "_equals", "_function", "_result", "_root", "name")

    def __init__(
        self,
        function: Callable[[], T],
        *,
        equals: Callable[[T, T], bool] | None = None,
        name: str = "",
    ) -> None:
        """Derive a value with `function`, which should do nothing else than compute it."""
        super().__init__()
        self._function: Callable[[], T] | None = function
        self._equals = equals
        self._result: _Result | None = None
        self._root: Tracker | None = None
        self.name = name or getattr(function, "__qualname__", "computed")

    def get(self) -> T:
        """Return the value, computing it if need be; inside a computed or effect, depend on it."""
        tracker = current.get()
        latest = self._refresh(tracker.depth if tracker else 0)
        if latest is None:
            self._tracked()
        elif tracker is not None and tracker.consumer is not None:
            tracker.reads[self] = _UNSETTLED
        return self._outcome(latest)

    def peek(self) -> T:
        """Return the value, computing it if need be, without depending on it."""
        tracker = current.get()
        return self._outcome(self._refresh(tracker.depth if tracker else 0))

    __call__ = get

    @property
    def value(self) -> T:
        """The value; the same as `get`."""
        return self.get()

    def dispose(self) -> None:
        """Keep the last value and follow the inputs no longer."""
        with guard:
            for source in self._sources:
                unobserve(source, self)
            self._sources = {}
            self._function = None
            self._mark = CLEAN

    def _outcome(self, latest: _Result | None) -> T:
        result = latest or self._result
        if result is None:
            raise ReactiveError(f"{self.name}: disposed before it had a value")
        value, error, traceback = result
        if error is not None:
            raise error.with_traceback(traceback)
        return cast(T, value)

    def _versioned(self) -> tuple[_Result | None, int]:
        with guard:
            return self._result, self._version

    def _refresh(self, depth: int) -> _Result | None:
        """Bring the result up to date; return the latest one if it could not be stored."""
        if self._trusted():
            return None
        if depth > _DEEP:
            raise _TooDeep(self)
        if depth > 0:
            return self._settle(depth)
        first: list[Computed[Any]] = [self]  # the last of them is needed by the one before it
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
        same = latest and known and not really_differs(self._differs, known, latest)
        return None if same else latest

    def _trusted(self) -> bool:
        """Say whether it is up to date without a look at its sources."""
        if self._function is None:
            return True
        # The batches first: one that closes in between has marked what it changed by then.
        clean = not changes.open and self._observers and self._mark == CLEAN
        return bool(clean) or self._checked_at == changes.writes

    def _fresh(self, depth: int) -> bool:
        if self._trusted():
            return True
        writes = changes.writes
        if self._result is None or (self._mark == DIRTY and self._observers):
            return False
        if self._sources_changed(depth + 1):
            return False
        with guard:
            if self._observers:
                # Lower it only: who raises a mark has to reach those behind it as well.
                self._mark = min(self._mark, self._outdated())
            if writes == changes.writes:
                self._mark = CLEAN
                self._checked_at = writes
        return True

    def _compute(self, depth: int) -> tuple[_Result, bool, bool]:
        """Return the result, whether it is stored, and if not, whether to try again."""
        outer = current.get()
        tracker = Tracker(self, outer, depth + 1)
        if self._root is tracker.root:
            raise CycleError(f"a computed needs its own value: {_cycle(self, outer)}")
        mine = self._root is None
        if mine:
            self._root = tracker.root
        before, writes = self._result, changes.writes
        token = current.set(tracker)
        try:
            function = self._function
            if function is None:  # disposed by another thread just now
                return before or (None, None, None), False, False
            result: _Result = (function(), None, None)
        except Exception as error:
            result = (None, error, error.__traceback__)
        finally:
            current.reset(token)
            tracker.consumer = None  # what a task begun in it reads from now on is not its own
            if mine:
                self._root = None
        stored = self._store(before, result, tracker.reads, writes)
        return result, stored, _UNSETTLED not in tracker.reads.values()

    def _store(
        self,
        before: _Result | None,
        result: _Result,
        reads: dict[Source, int],
        writes: int,
    ) -> bool:
        """Keep a result unless other threads have overtaken it; say whether it was kept."""
        try:
            changed = before is None or self._differs(before, result)
        except Exception as error:  # what cannot be compared has that as its value
            result, changed = (None, error, error.__traceback__), True
        with guard:
            if self._result is not before or self._function is None:
                return False  # another thread has stored its result, or dispose came
            if any(source._version != seen for source, seen in reads.items()):
                return False
            old = self._version
            self._follow(reads, observed=bool(self._observers))
            if changed:
                self._result = result
                self._version = next(stamps)
            self._mark = self._outdated()
            self._checked_at = writes if self._mark == CLEAN else -1
            if self._observers and (changed or self._mark != CLEAN):
                # Computed in the middle of a batch: who depends on it hears at the end.
                for opened in changes.open:
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


def _cycle(member: Computed[Any], tracker: Tracker | None) -> str:
    """Name the members, and let the last, which cannot follow the first, follow all they read."""
    names, last = [member.name], tracker
    while tracker is not None and last is not None:
        last.reads.update((s, seen) for s, seen in tracker.reads.items() if s not in last.reads)
        if tracker.consumer is member:
            break
        if tracker.consumer is not None:
            names.append(tracker.consumer.name)
        tracker = tracker.outer
    return " -> ".join([member.name, *reversed(names)])
