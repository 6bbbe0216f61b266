"""When the wall time was set, and when its quality changed."""

from __future__ import annotations

from collections.abc import Callable

from edgekernel.core.clock import Clock
from edgekernel.journal.records import ClockRecord

_STEP_NS = 100_000_000
"""A wall time that moves so much against the monotonic time at once was set: adjusting it gently
moves it by 0.5 ms in a second at most (adjtimex(2), maximum slew)."""


class Timekeeping:
    """Makes a clock record of each time that the wall time is set or its quality changes."""

    def __init__(self, quality: Callable[[], str], clock: Clock | None = None) -> None:
        """Ask `quality` for the quality.

        With a `clock`, a step counts if that shows it as well: on a busy computer a thread may
        stand still between the reading of the one time and of the other.
        """
        self._quality = quality
        self._clock = clock
        self._offset_ns: int | None = None
        self._known = ""

    def step(self, monotonic_ns: int, time_ns: int) -> ClockRecord | None:
        """Look at a pair of times; return the record if the wall time was set before it."""
        offset_ns, before_ns = time_ns - monotonic_ns, self._offset_ns
        if before_ns is not None and abs(offset_ns - before_ns) >= _STEP_NS and self._clock:
            offset_ns = self._clock.time_ns() - self._clock.monotonic_ns()
        self._offset_ns = offset_ns
        if before_ns is None or abs(offset_ns - before_ns) < _STEP_NS:
            return None
        self._known = "stepped"
        return ClockRecord(monotonic_ns, time_ns, self._known, offset_ns - before_ns)

    def look(self, clock: Clock) -> ClockRecord | None:
        """Ask for the quality now; return the record if it has changed."""
        quality = self._quality()
        if quality == self._known:
            return None
        self._known = quality
        return ClockRecord(clock.monotonic_ns(), clock.time_ns(), quality, 0)
