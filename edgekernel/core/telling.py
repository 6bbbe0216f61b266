"""Telling: how often it is told of something that goes on and on."""

from __future__ import annotations

from edgekernel.core.clock import NANOSECONDS

_FIRST_NS = 60 * NANOSECONDS
_LONGEST_NS = 3600 * NANOSECONDS


class Telling:
    """Says when something that repeats is due to be told of: at once, again after a minute, and
    then after pauses twice as long each, up to an hour. After an hour without it begins anew."""

    def __init__(self) -> None:
        """Begin with nothing told."""
        self._told_ns: int | None = None
        self._pause_ns = _FIRST_NS

    def due(self, now_ns: int) -> bool:
        """Whether what has happened is to be told at this monotonic time."""
        return self._told_ns is None or now_ns - self._told_ns >= self._pause_ns

    def told(self, now_ns: int) -> None:
        """Take note that it was told."""
        if self._told_ns is not None and now_ns - self._told_ns < self._pause_ns + _LONGEST_NS:
            self._pause_ns = min(2 * self._pause_ns, _LONGEST_NS)
        else:
            self._pause_ns = _FIRST_NS
        self._told_ns = now_ns
