"""Rate limits: at most so many calls in so much time, as a token bucket on the clock."""

from __future__ import annotations

import threading

from edgekernel.core.clock import Clock
from edgekernel.core.errors import ConfigError, RateLimitedError
from edgekernel.core.record import dataclass

_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_FEW = 100


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `count` calls in `within_s` seconds; so many may come at once."""

    count: int
    within_s: float

    @classmethod
    def parse(cls, text: str) -> RateLimit:
        """Read "10/min"; the units are s, min and h. Raises ConfigError for anything else."""
        count, _, unit = text.partition("/")
        if not count.isdecimal() or int(count) == 0 or unit not in _SECONDS:
            raise ConfigError(f'rate limit {text!r}: expected a form such as "10/min" (s, min, h)')
        return cls(int(count), _SECONDS[unit])

    def filled(self, tokens: float, passed_s: float) -> float:
        """Return how many tokens there are when so much time has passed."""
        return min(float(self.count), tokens + passed_s * self.count / self.within_s)


class Rates:
    """The token buckets of the commands that have a rate limit."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float, RateLimit]] = {}
        """Tokens, when there were so many, and the limit. One that is full again need not be
        kept, so that those of parts that have gone are not kept for ever."""
        self._many = _FEW

    def take(self, name: str, limit: RateLimit | None, *, consume: bool = True) -> None:
        """Take a token of the bucket `name`, or only look whether there is one.

        Raises RateLimitedError that says after how many seconds there is one again.
        """
        if limit is None:
            return
        with self._lock:
            now = self._clock.monotonic()
            tokens, since, _ = self._buckets.get(name, (float(limit.count), now, limit))
            tokens = limit.filled(tokens, now - since)
            missing = 1.0 - tokens
            if missing <= 1e-9:  # sums of floating point seconds
                self._buckets[name] = tokens - consume, now, limit
                if len(self._buckets) > self._many:
                    self._forget_full(now)
                return
        raise RateLimitedError(
            name,
            f"{limit.count} in {limit.within_s:g} s",
            missing * limit.within_s / limit.count,
        )

    def left(self, name: str, limit: RateLimit) -> int:
        """Return how many tokens of the bucket `name` may be taken now."""
        with self._lock:
            now = self._clock.monotonic()
            tokens, since, _ = self._buckets.get(name, (float(limit.count), now, limit))
            return int(limit.filled(tokens, now - since) + 1e-9)

    def _forget_full(self, now: float) -> None:
        self._buckets = {
            name: bucket
            for name, bucket in self._buckets.items()
            if bucket[2].filled(bucket[0], now - bucket[1]) < bucket[2].count
        }
        self._many = max(_FEW, 2 * len(self._buckets))
