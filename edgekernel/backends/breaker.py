"""A circuit breaker: what has failed is left alone for a while, longer with each failure."""

from __future__ import annotations

from edgekernel.core.backoff import Backoff
from edgekernel.core.clock import NANOSECONDS, Clock, utc
from edgekernel.hal.health import BusState

FIRST_S, LIMIT_S = 1.0, 60.0
"""How long what failed is left alone at first, and at most; doubled with each failure."""


class Breaker:
    """Lets through until it has failed too often in a row; then one attempt from time to time."""

    def __init__(self, name: str, clock: Clock, threshold: int) -> None:
        """Open after `threshold` failures in a row; `name` seeds the variation of the delays."""
        self.state = BusState.CLOSED
        self._clock = clock
        self._threshold = threshold
        self._backoff = Backoff(name, FIRST_S, LIMIT_S)
        self._failures = 0
        self._cause = ""
        self._since_ns = self._again_ns = 0  # of the wall time
        self._next_ns = 0

    @property
    def lets_through(self) -> bool:
        """Whether an attempt may be made now."""
        return self.state is not BusState.OPEN or self._clock.monotonic_ns() >= self._next_ns

    @property
    def next_attempt_ns(self) -> int | None:
        """When an attempt may be made, on the monotonic clock; None while it is closed."""
        return None if self.state is BusState.CLOSED else self._next_ns

    def attempt(self) -> None:
        """Note that an attempt is made."""
        if self.state is BusState.OPEN:
            self.state = BusState.HALF_OPEN

    def failed(self, cause: str) -> None:
        """Count a failure; open if there were too many."""
        self._failures += 1
        self._cause = cause
        if self._failures < self._threshold:
            return
        if self.state is BusState.CLOSED:
            self._since_ns = self._clock.time_ns()
        self.state = BusState.OPEN
        delay_ns = int(self._backoff.failed() * NANOSECONDS)
        self._next_ns = self._clock.monotonic_ns() + delay_ns
        self._again_ns = self._clock.time_ns() + delay_ns

    def worked(self) -> None:
        """Close: it works."""
        if self._failures:
            self.state, self._failures, self._backoff.failures = BusState.CLOSED, 0, 0

    @property
    def reason(self) -> str:
        """Why nothing is let through, since when, and until when; empty while it is closed."""
        if self.state is BusState.CLOSED:
            return ""
        # Times of day and no durations: a reason that changes is told anew, to all who look.
        times = f"{self._failures} failure{'s' if self._failures > 1 else ''}"
        return (
            f"out of use since {_shown(self._since_ns)} after {times} ({self._cause}); "
            f"tried again at {_shown(self._again_ns)}"
        )


def _shown(time_ns: int) -> str:
    return utc(time_ns).isoformat(timespec="milliseconds").replace("+00:00", "Z")
