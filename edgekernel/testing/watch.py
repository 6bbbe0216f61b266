"""Watch: when a condition held and for how long, however the time has passed."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.errors import describe
from edgekernel.core.graph import untracked
from edgekernel.testing.times import moment, span

if TYPE_CHECKING:
    from edgekernel.sim import SimClock

_SHOWN = 5


class Span(NamedTuple):
    """A stretch of time in which a condition held, in nanoseconds of the simulated clock."""

    begin_ns: int
    end_ns: int

    @property
    def length_s(self) -> float:
        """How long it is, in seconds."""
        return (self.end_ns - self.begin_ns) / NANOSECONDS

    def __str__(self) -> str:
        return f"{moment(self.begin_ns)} to {moment(self.end_ns)} ({span(self.length_s)})"


class Watch:
    """Looks at a condition from now on, at every moment at which something has happened.

    It is exact: a condition changes at such a moment or not at all. What is taken back at the same
    moment does not count. The condition only looks: it must not wait. What it raises is raised by
    whoever asks the watch.
    """

    def __init__(self, clock: SimClock, condition: Callable[[], object], what: str = "") -> None:
        self._clock = clock
        self._condition = condition
        self.what = what or in_words(condition)
        """The condition in words."""
        self._ended: list[Span] = []
        self._since_ns: int | None = None
        self._error: tuple[int, Exception] | None = None
        clock.before_time_passes(self._look)
        self._look()

    @property
    def spans(self) -> tuple[Span, ...]:
        """When the condition held; one that holds now ends now."""
        self._look()
        if self._error is not None:
            at_ns, error = self._error
            text = f"{self.what}: could not be seen at {moment(at_ns)}: {describe(error)[0]}"
            raise RuntimeError(text) from error
        if self._since_ns is None:
            return tuple(self._ended)
        return (*self._ended, Span(self._since_ns, self._clock.monotonic_ns()))

    @property
    def longest_s(self) -> float:
        """The length of the longest time for which it held at a stretch, in seconds."""
        return max((each.length_s for each in self.spans), default=0.0)

    @property
    def total_s(self) -> float:
        """For how long it held in all, in seconds."""
        return sum(each.end_ns - each.begin_ns for each in self.spans) / NANOSECONDS

    def assert_never(self) -> None:
        """Assert that it has held at no moment."""
        __tracebackhide__ = True
        if self.spans:
            raise AssertionError(f"{self.what}: should never have been\n{self._told()}")

    def assert_at_most(self, seconds: float) -> None:
        """Assert that it has never held for longer than `seconds` at a stretch."""
        __tracebackhide__ = True
        if self.longest_s > seconds:
            raise AssertionError(
                f"{self.what}: for {span(self.longest_s)} at a stretch, {span(seconds)} at most "
                f"were allowed\n{self._told(seconds)}"
            )

    def _look(self) -> None:
        if self._error is not None:
            return
        now_ns = self._clock.monotonic_ns()
        try:
            with untracked():
                holds = bool(self._condition())
        except Exception as error:  # it would hit whoever waits just now
            self._error = now_ns, error
            return
        if holds and self._since_ns is None:
            self._since_ns = now_ns
        elif not holds and self._since_ns is not None:
            self._end_span()

    def _end_span(self) -> None:
        assert self._since_ns is not None
        self._ended.append(Span(self._since_ns, self._clock.monotonic_ns()))
        self._since_ns = None

    def _told(self, longer_than_s: float = -1.0) -> str:
        spans = [each for each in self.spans if each.length_s > longer_than_s]
        lines = [f"  it was from {each}" for each in spans[:_SHOWN]]
        if len(spans) > _SHOWN:
            lines.append(f"  and {len(spans) - _SHOWN} more times")
        return "\n".join(lines)

    def __repr__(self) -> str:
        spans = self.spans
        shown = ", ".join(map(str, spans[:_SHOWN])) + (", ..." if len(spans) > _SHOWN else "")
        return f"<Watch {self.what}: {shown or 'never'}>"


def in_words(condition: object) -> str:
    """Return a function's name, or the line where a nameless one is written."""
    name = getattr(condition, "__qualname__", repr(condition))
    code = getattr(condition, "__code__", None)
    if "<" not in name or code is None:
        return str(name)
    line = linecache.getline(code.co_filename, code.co_firstlineno).strip()
    return line or f"{code.co_filename}:{code.co_firstlineno}"
