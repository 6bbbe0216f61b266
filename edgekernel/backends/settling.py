"""When a level counts: what a line has settled at, judged by the times of its edges."""

from __future__ import annotations

from edgekernel.hal.gpio import Edge


class Settling:
    """A line that bounces, fed with its edges and with looks at its level. Knows no clock.

    A level settles when it has lasted `settle_ns`. Whoever feeds it looks at the real level at
    `due_ns`: that settles the last change, and finds an edge that got lost.
    """

    def __init__(self, level: bool, at_ns: int, settle_ns: int) -> None:
        """Begin settled at the `level` that the line was seen to have at `at_ns`."""
        self.level = level
        """The settled level."""
        # To look once for nothing: an edge may have got lost while the line was opened.
        self.due_ns: int | None = at_ns + settle_ns
        """When to look at the line, or None until the next edge."""
        self._settle_ns = settle_ns
        self._opened_ns = at_ns
        self._now = level
        self._since_ns = at_ns
        self._before: tuple[bool, int] | None = None
        """What was there before a look found another level, until the edge of that is told."""

    def edge(self, level: bool, at_ns: int) -> Edge | None:
        """Take an edge, to `level` at `at_ns`; return the change that had settled before it."""
        if at_ns < self._opened_ns:
            return None  # of an earlier opening of the line
        if self._before is not None and level == self._now and at_ns <= self._since_ns:
            self._now, self._since_ns = self._before  # a look found the change first
        settled = self._settle(at_ns)
        self._begin(level, at_ns)
        return settled

    def look(self, level: bool, at_ns: int) -> Edge | None:
        """Take the level that the line has, read after `at_ns`; return what has settled."""
        if level != self._now:
            before = self._now, self._since_ns
            self._begin(level, at_ns)
            self._before = before
            return None
        settled = self._settle(at_ns)
        if at_ns - self._since_ns >= self._settle_ns:
            self.due_ns = None
        return settled

    def _begin(self, level: bool, at_ns: int) -> None:
        self._now, self._since_ns, self._before = level, at_ns, None
        self.due_ns = at_ns + self._settle_ns  # also back at the old level: was it the last edge?

    def _settle(self, until_ns: int) -> Edge | None:
        if self._now == self.level or until_ns - self._since_ns < self._settle_ns:
            return None
        self.level, self._before = self._now, None  # the edge of it is told later, or never
        return Edge(self._now, self._since_ns)
