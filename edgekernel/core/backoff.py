"""Patience: how soon, and how often, something that fails is started again."""

from __future__ import annotations

import random
from collections import deque

from edgekernel.core.clock import NANOSECONDS

_MOST_DOUBLINGS = 60  # beyond any limit, and far below where a float overflows


class Backoff:
    """The delays of one thing that fails again and again.

    The first is `first_s` seconds, each later one twice the one before, up to `limit_s`; each
    varies by a fifth, so that what failed together does not come back together. `name` seeds
    the variation: the same in every run of a simulation, and another for every node of a fleet.
    """

    def __init__(self, name: str, first_s: float, limit_s: float) -> None:
        self._first_s, self._limit_s = first_s, limit_s
        self._jitter = random.Random(name)
        self.failures = 0
        """How many failures in a row there were."""

    def failed(self) -> float:
        """Count a failure; return the delay that follows it, in seconds."""
        doubled = self._first_s * 2.0 ** min(self.failures, _MOST_DOUBLINGS)
        self.failures += 1
        return min(doubled, self._limit_s) * self._jitter.uniform(0.8, 1.2)

    def ran(self, seconds: float) -> None:
        """Begin anew if it has run for as long as the longest delay: it was well in between."""
        if seconds >= self._limit_s:
            self.failures = 0


class Budget:
    """At most `most` restarts in any `within_s` seconds."""

    def __init__(self, most: int, within_s: float) -> None:
        self._most, self._within_ns = most, int(within_s * NANOSECONDS)
        self._taken: deque[int] = deque()

    def take(self, now_ns: int) -> bool:
        """Take one if there is one left."""
        while self._taken and now_ns - self._taken[0] > self._within_ns:
            self._taken.popleft()
        if len(self._taken) >= self._most:
            return False
        self._taken.append(now_ns)
        return True
