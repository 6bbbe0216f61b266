"""When a level counts: what a line has settled at, judged by the times of its edges."""

from __future__ import annotations

from collections import deque

from edgekernel.hal.gpio import Edge

_LATEST_NS = 10_000_000_000
"""An edge that is not told this long after somebody has seen its level got lost."""


class Settling:
    """A line that bounces, fed with its edges and with looks at its level. Knows no clock.

    A level settles when it has lasted `settle_ns`. Whoever feeds it looks at the real level at
    `due_ns`: that settles the last change, and finds an edge that got lost.

    On a busy computer edges are told late, but in order. What looks have found until then is told
    ahead of them, and not once more when they come.
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
        self._now = level, at_ns
        """The level of the latest edge, and when that was."""
        self._seen: tuple[bool, int] | None = None
        """The level that looks have found after it, and since when, if they have found another."""
        self._ahead: deque[int] = deque()
        """When the changes were that looks have settled, and their edges not yet."""

    def edge(self, level: bool, at_ns: int) -> Edge | None:
        """Take an edge, to `level` at `at_ns`; return the change that had settled before it."""
        if at_ns < self._opened_ns:
            return None  # of an earlier opening of the line
        seen, self._seen = self._seen, None
        settled = None
        if level != self._now[0] or seen is None or seen[0] == level:
            settled = self._settle(at_ns)
        # else the edge between got lost: nobody knows how long the level before it has lasted
        while self._ahead and self._ahead[0] < at_ns:
            self._ahead.popleft()  # lost as well: it would have come before this one
        self._now = level, at_ns
        self.due_ns = at_ns + self._settle_ns  # also back at the old level: was it the last edge?
        return settled

    def look(self, level: bool, at_ns: int) -> Edge | None:
        """Take the level that the line has, read after `at_ns`; return what has settled."""
        before, since_ns = self._now if self._seen is None else self._seen
        if level != before:
            self._seen = level, at_ns
            self.due_ns = at_ns + self._settle_ns
            return None
        if at_ns - since_ns < self._settle_ns:
            return None
        self.due_ns = None
        if self._seen is None:
            return self._settle(at_ns)
        settled = None
        if level != self.level:
            self.level = level
            self._ahead.append(since_ns)
            settled = Edge(level, since_ns)
        if self._ahead and self._ahead[0] < at_ns - _LATEST_NS:
            self._ahead.clear()
            self._now, self._seen = self._seen, None
        return settled

    def _settle(self, until_ns: int) -> Edge | None:
        """Settle at the level of the latest edge if it has lasted; return it if that is news."""
        level, since_ns = self._now
        by_edges = self.level if len(self._ahead) % 2 == 0 else not self.level
        if level == by_edges or until_ns - since_ns < self._settle_ns:
            return None
        if self._ahead:
            self._ahead.popleft()
            return None
        self.level = level
        return Edge(level, since_ns)
