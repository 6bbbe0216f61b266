"""Rate limits: at most so many calls in so much time, as a token bucket on the clock."""

from __future__ import annotations

import re
import threading

from edgekernel.core.clock import Clock
from edgekernel.core.errors import ConfigError, RateLimitedError
from edgekernel.core.record import dataclass

_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_FORM = re.compile(r"(\d+)/(s|min|h)")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `count` calls in `within_s` seconds; so many may come at once."""

    count: int
    within_s: float

    @classmethod
    def parse(cls, text: str) -> RateLimit:
        """Read "10/min"; the units are s, min and h. Raises ConfigError for anything else."""
        found = _FORM.fullmatch(text)
        if found is None or int(found[1]) == 0:
            raise ConfigError(f'rate limit {text!r}: expected a form such as "10/min" (s, min, h)')
        return cls(int(found[1]), _SECONDS[found[2]])


class Rates:
    """The token buckets of the commands that have a rate limit."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens, and when there were so many

    def take(self, name: str, limit: RateLimit | None, *, consume: bool = True) -> None:
        """Take a token of the bucket `name`, or only look whether there is one.

        Raises RateLimitedError that says after how many seconds there is one again.
        """
        if limit is None:
            return
        per_token_s = limit.within_s / limit.count
        with self._lock:
            now = self._clock.monotonic()
            tokens, since = self._buckets.get(name, (float(limit.count), now))
            tokens = min(float(limit.count), tokens + (now - since) / per_token_s)
            missing = 1.0 - tokens
            if missing <= 1e-9:  # sums of floating point seconds
                self._buckets[name] = tokens - consume, now
                return
        raise RateLimitedError(
            name, f"{limit.count} in {limit.within_s:g} s", missing * per_token_s
        )
