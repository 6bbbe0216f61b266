"""Patience: how soon, and how often, something that fails is started again."""

from __future__ import annotations

from collections import deque

from edgekernel.core.clock import NANOSECONDS

# Park and Miller's generator with their multiplier of 1993. `random` is an import of 1 ms and
# 0.3 MiB; and where a part has failed, nothing may have to be loaded before it is made safe.
_MODULUS, _MULTIPLIER = 2**31 - 1, 48271
_MOST_DOUBLINGS = 60  # beyond any limit, and far below where a float overflows


class Backoff:
    """The delays of one thing that fails again and again.

    The first is `first_s` seconds, each later one twice the one before, up to `limit_s`; each
    varies by a fifth, so that what failed together does not come back together. `name` seeds
    the variation: the same in every run of a simulation, and another for every node of a fleet.
    """

    def __init__(self, name: str, first_s: float, limit_s: float) -> None:
        self._first_s, self._limit_s = first_s, limit_s
        self._state = int.from_bytes(name.encode(), "big") % _MODULUS or 1
        self._vary()  # names that differ in their last letter only start far apart
        self.failures = 0
        """How many failures in a row there were."""

    def failed(self) -> float:
        """Count a failure; return the delay that follows it, in seconds."""
        doubled = self._first_s * 2.0 ** min(self.failures, _MOST_DOUBLINGS)
        self.failures += 1
        return min(doubled, self._limit_s) * self._vary()

    def _vary(self) -> float:
        """Return the next factor, between 0.8 and 1.2."""
        self._state = self._state * _MULTIPLIER % _MODULUS
        return 0.8 + 0.4 * self._state / _MODULUS

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
