"""Polls: how the polls of one device go, and when the next one is due."""

from __future__ import annotations

import math
from typing import Any

from edgekernel.core.backoff import Backoff
from edgekernel.core.clock import NANOSECONDS

LONGEST_RETRY_S = 60.0
"""A device that does not answer is tried at least this often, or at its own interval if longer."""


class Polls:
    """The polls of one device: on a grid while they succeed, with backoff while they fail.

    The first try after a failure comes after the device's own interval, each later one after twice
    the time before, up to a minute (a fifth more or less): a chip that is dead, and answers each
    try with a long timeout, keeps the others of its bus waiting less and less. The first success
    brings the device back to its grid.
    """

    def __init__(self) -> None:
        """Know of no poll yet."""
        self.name = ""
        """Seeds how the delays vary."""
        self._grid_ns = self._begun_ns = 0
        self._every_s = 0.0
        self._backoff: Backoff | None = None
        self.due_ns: int | None = None
        """When the next regular poll is due, on the monotonic time; None before the start."""
        self.asked_ns: int | None = None
        """When one is due beside that, because the device has asked for it."""
        self.answered_ns: int | None = None
        """When the latest poll that succeeded had ended; None before any."""

    @property
    def failures(self) -> int:
        """How many polls have failed in a row."""
        return 0 if self._backoff is None else self._backoff.failures

    @property
    def next_ns(self) -> int | None:
        """When the next poll is due, regular or not."""
        due_ns, asked_ns = self.due_ns, self.asked_ns
        if asked_ns is None or due_ns is None:
            return due_ns if asked_ns is None else asked_ns
        return min(due_ns, asked_ns)

    def begin(self, now_ns: int) -> None:
        """Let the grid begin now."""
        self.due_ns = self._grid_ns = now_ns
        self._backoff = None

    def take_up(self, now_ns: int) -> bool:
        """Say whether a poll is due, which begins then; what was asked for is done with that."""
        if self.due_ns is None:
            self.begin(now_ns)
        self._begun_ns = now_ns
        if self.asked_ns is not None and self.asked_ns <= now_ns:
            self.asked_ns = None
            return True
        return self.due_ns is not None and self.due_ns <= now_ns

    def succeeded(self, every_s: float, now_ns: int) -> None:
        """Note an answer; go on with the grid."""
        self.answered_ns = now_ns
        self._backoff = None
        self._to_grid(every_s, now_ns)

    def passed(self, every_s: float, now_ns: int) -> None:
        """Note that the device could not be asked."""
        self._to_grid(every_s, now_ns)

    def failed(self, every_s: float, now_ns: int) -> None:
        """Note a failure; try again later and later."""
        if not is_interval(every_s):  # the device has not been asked: that costs nobody time
            self.passed(every_s, now_ns)
            return
        if self._backoff is None:
            limit_s = max(LONGEST_RETRY_S, every_s)
            self._backoff = Backoff(self.name, every_s, limit_s)
        self.due_ns = now_ns + int(self._backoff.failed() * NANOSECONDS)

    def follow(self, every_s: float) -> bool:
        """Note the device's interval; say whether it is another one than before.

        Then a new grid begins with the latest poll.
        """
        before_s, self._every_s = self._every_s, every_s
        if before_s in (0.0, every_s):
            return False
        if self._backoff is None and is_interval(every_s):
            self.due_ns = self._grid_ns = self._begun_ns + int(every_s * NANOSECONDS)
        return True

    def figures(self, now_ns: int) -> dict[str, Any]:
        """Return the counts and the times, in seconds, ready for JSON."""
        last, due = self.answered_ns, self.next_ns
        return {
            "failures": self.failures,
            "next_poll_in_s": None if due is None else max(0, due - now_ns) / NANOSECONDS,
            "last_poll_age_s": None if last is None else (now_ns - last) / NANOSECONDS,
        }

    def _to_grid(self, every_s: float, now_ns: int) -> None:
        """Let the next one be due at the first time on the grid that is not in the past."""
        step = int(every_s * NANOSECONDS) if is_interval(every_s) else NANOSECONDS
        if self._grid_ns <= self._begun_ns:
            self._grid_ns += step * max(1, -((self._grid_ns - now_ns) // step))
            if self._grid_ns == self._begun_ns:  # this was it
                self._grid_ns += step
        self.due_ns = self._grid_ns


def is_interval(every_s: float) -> bool:
    """Say whether a device can be polled at such an interval."""
    return isinstance(every_s, int | float) and 1 / NANOSECONDS <= every_s < math.inf
