"""Telling: how often it is told of something that goes on and on."""

from __future__ import annotations

from edgekernel.core.clock import NANOSECONDS

_FIRST_NS = 60 * NANOSECONDS
_LONGEST_NS = 3600 * NANOSECONDS
_MOST_FAILURES = 16
_NO_DIGITS = dict.fromkeys(b"0123456789")


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


class Failures:
    """Says which of the failures of one thing are to be told of: a new one at once, and the same
    again as a `Telling` has it.

    Those that differ in their digits only, such as times, are the same.
    """

    def __init__(self) -> None:
        """Begin with nothing told."""
        self._tellings: dict[str, Telling] = {}

    def news(self, error: str, now_ns: int) -> bool:
        """Say whether this failure is to be told of; if so it counts as told."""
        key = error.translate(_NO_DIGITS)
        if key not in self._tellings and len(self._tellings) >= _MOST_FAILURES:
            self._tellings.clear()
        telling = self._tellings.setdefault(key, Telling())
        if not telling.due(now_ns):
            return False
        telling.told(now_ns)
        return True

    def over(self) -> None:
        """Take note that it works: the next failure is a new one."""
        self._tellings.clear()
