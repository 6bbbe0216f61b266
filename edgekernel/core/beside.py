"""Steps beside one another: each on a thread of its own, so that none keeps the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from edgekernel.core.clock import NANOSECONDS, Clock, could_start

MAX_AT_ONCE = 32
"""How many of a long row run at the same time, beside those that have used up their share."""
_MOMENT_NS = NANOSECONDS // 20
_FOR_BEGINNING = 4
"""A quarter of the limit may be spent on beginning one after the other."""

Step = tuple[str, Callable[[], object]]


class Beside:
    """Runs steps, and waits for them within a limit. What takes longer runs on, unwaited for."""

    def __init__(self, clock: Clock, steps: Sequence[Step], limit_s: float) -> None:
        self._clock = clock
        self._steps = steps
        self._limit_ns = int(limit_s * NANOSECONDS)
        self._end_ns = clock.monotonic_ns() + self._limit_ns
        self._moved = clock.Condition()
        self._begun: dict[int, int] = {}  # when each that has not ended began; oldest first

    def all_at_once(self) -> list[str]:
        """Begin all, then wait; return the names of those that have not ended in time."""
        for number in range(len(self._steps)):
            self._begin(number)
        return self._unfinished()

    def in_their_order(self) -> list[str]:
        """Begin each after the one before it has ended, or has taken its moment.

        So what takes no time happens in the order of the steps, and what takes its time beside
        what follows. Returns as `all_at_once` does.
        """
        count = len(self._steps)
        for_beginning_ns = self._limit_ns // _FOR_BEGINNING
        moment_ns = min(_MOMENT_NS, for_beginning_ns // max(1, count))
        rounds = -(-count // MAX_AT_ONCE)
        share_ns = (self._limit_ns - for_beginning_ns) // max(1, rounds)
        for number in range(count):
            self._wait_for_room(share_ns)
            begun_ns = self._begin(number)
            self._wait(partial(self._has_ended, number), begun_ns + moment_ns)
        return self._unfinished()

    def _begin(self, number: int) -> int:
        name, step = self._steps[number]
        now_ns = self._clock.monotonic_ns()
        with self._moved:
            self._begun[number] = now_ns
        run = partial(self._run, number, step)
        if not could_start(self._clock.Thread(run, f"stop:{name}")):
            run()  # here, where those after it wait for it
        return now_ns

    def _run(self, number: int, step: Callable[[], object]) -> None:
        try:
            step()
        finally:
            with self._moved:
                del self._begun[number]
                self._moved.notify_all()

    def _has_ended(self, number: int) -> bool:
        return number not in self._begun

    def _wait_for_room(self, share_ns: int) -> None:
        """Wait until fewer run than may; those that have had their share do not count."""
        with self._moved:
            while len(self._begun) >= MAX_AT_ONCE:
                since_ns = list(self._begun.values())[-MAX_AT_ONCE]
                left_ns = since_ns + share_ns - self._clock.monotonic_ns()
                if left_ns <= 0:
                    return
                self._moved.wait(left_ns / NANOSECONDS)

    def _wait(self, enough: Callable[[], bool], until_ns: int) -> None:
        with self._moved:
            while not enough() and (left_ns := until_ns - self._clock.monotonic_ns()) > 0:
                self._moved.wait(left_ns / NANOSECONDS)

    def _unfinished(self) -> list[str]:
        self._wait(lambda: not self._begun, self._end_ns)
        with self._moved:
            return [self._steps[number][0] for number in self._begun]
