"""A schedule: calls that are made at exact times of a clock, in one thread of it."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from edgekernel.core.clock import NANOSECONDS, Clock, ThreadLike
from edgekernel.core.errors import of_user_code

Call = Callable[[], object]


class Schedule:
    """Makes calls at their times, those of the same time in the order in which they came."""

    def __init__(self, clock: Clock, name: str, failed: Callable[[BaseException], object]) -> None:
        """Wait with `start`; `failed` is told what a call raises, and the others go on."""
        self._clock = clock
        self._name = name
        self._failed = failed
        self._calls: list[tuple[int, int, Call]] = []
        self._number = 0
        self._lock = clock.Lock()
        self._wake = clock.Event()
        self._thread: ThreadLike | None = None
        self._ended = False

    def start(self) -> None:
        """Begin; calls that were due before are made at once."""
        self._ended = False
        self._thread = self._clock.Thread(self._run, self._name)
        self._thread.start()

    def stop(self) -> None:
        """End, and forget what has not come. Not to be called from one of its calls."""
        self._ended = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        with self._lock:
            self._calls.clear()

    def later(self, seconds: float, call: Call) -> None:
        """Make a call so many seconds from now; from any thread."""
        self.at(self._clock.monotonic_ns() + round(seconds * NANOSECONDS), call)

    def at(self, monotonic_ns: int, call: Call) -> None:
        """Make a call at a monotonic time; from any thread."""
        with self._lock:
            self._number += 1
            heappush(self._calls, (monotonic_ns, self._number, call))
            first = self._calls[0][1] == self._number
        if first:
            self._wake.set()

    def _run(self) -> None:
        while not self._ended:
            call = self._next()
            if call is None:
                continue
            try:
                call()
            except BaseException as error:
                self._failed(of_user_code(error))

    def _next(self) -> Call | None:
        """Take the first call if it is due; else wait until it is, or until another comes."""
        self._wake.clear()
        with self._lock:
            due_ns = self._calls[0][0] if self._calls else None
            if due_ns is not None and due_ns <= self._clock.monotonic_ns():
                return heappop(self._calls)[2]
        if self._ended:  # told before the flag was cleared
            return None
        if due_ns is None:
            self._wake.wait()
        else:
            self._clock.wait_until(self._wake, due_ns)
        return None
