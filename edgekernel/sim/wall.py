"""The wall time of a simulation: a start, steps, and a drift against the monotonic time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from edgekernel.core.clock import NANOSECONDS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLION = 1_000_000


class WallTime:
    """A wall time in nanoseconds since 1970-01-01 UTC, by the monotonic time."""

    def __init__(self, start: datetime, monotonic_ns: int = 0) -> None:
        """Begin at a timezone-aware time, and at a monotonic one; ValueError for a naive one."""
        if start.tzinfo is None:
            raise ValueError(f"start={start!r} has no time zone; write datetime(..., tzinfo=UTC)")
        self._base_ns = (start - _EPOCH) // timedelta(microseconds=1) * 1000
        self._since_ns = monotonic_ns
        self._drift = 0  # in millionths of a millionth, so that sums stay whole

    def at(self, monotonic_ns: int) -> int:
        """Return the wall time at a monotonic time that is not before the latest change."""
        passed_ns = monotonic_ns - self._since_ns
        if not self._drift:  # every event asks
            return self._base_ns + passed_ns
        return self._base_ns + passed_ns + passed_ns * self._drift // _MILLION**2

    def step(self, seconds: float) -> None:
        """Set it forward, or backward if negative."""
        self._base_ns += round(seconds * NANOSECONDS)

    @property
    def drift_ppm(self) -> float:
        """How much faster than the monotonic time it goes, in millionths."""
        return self._drift / _MILLION

    def drift_from(self, monotonic_ns: int, ppm: float) -> None:
        """Let it drift from a moment on."""
        self._base_ns, self._since_ns = self.at(monotonic_ns), monotonic_ns
        self._drift = round(ppm * _MILLION)
