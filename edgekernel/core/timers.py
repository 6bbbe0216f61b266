"""Timers: calls at a time, all of a runtime's from one thread."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from edgekernel.core.clock import NANOSECONDS, Clock, EventLike, ThreadLike
from edgekernel.core.errors import of_user_code

if TYPE_CHECKING:
    from edgekernel.core.turns import TurnQueue

_FEW = 100


class Timer:
    """One call to come. `set` says when, `cancel` that it is not wanted."""

    __slots__ = ("_call", "_timers", "due_ns", "number")

    def __init__(self, timers: Timers, call: Callable[[], object]) -> None:
        self._timers = timers
        self._call = call
        self.due_ns: int | None = None
        """When it is due, on the clock's monotonic time; None while it is not set."""
        self.number = 0

    def set(self, due_ns: int) -> None:
        """Call once, at this monotonic time or as soon after it as may be, instead of before."""
        if due_ns != self.due_ns:
            self._timers.put(self, due_ns)

    def cancel(self) -> None:
        """Do not call."""
        self.due_ns = None

    def ring(self) -> None:
        """Do the call."""
        self._call()


class Timers:
    """One thread, started with the first timer, that sleeps until the next one is due.

    What it calls may set signals: the effects that this concerns run in the dispatcher's thread,
    so that an effect that hangs keeps no other timer waiting.
    """

    def __init__(self, clock: Clock, name: str, turns: TurnQueue) -> None:
        self._clock = clock
        self._name = name
        self._turns = turns
        self._lock = threading.Lock()  # around the heap; never while something is called
        self._numbers = count(1)
        self._heap: list[tuple[int, int, Timer]] = []
        self._many = _FEW
        self._sooner: EventLike = clock.Event()
        self._thread: ThreadLike | None = None
        self._closed = False

    def timer(self, call: Callable[[], object]) -> Timer:
        """Return a timer that is not set."""
        return Timer(self, call)

    def put(self, timer: Timer, due_ns: int) -> None:
        """Set a timer; `Timer.set` does. Raises RuntimeError if the thread cannot be started."""
        with self._lock:
            if self._closed:
                return
            starts = self._thread is None
            if starts:
                thread = self._clock.Thread(self._run, self._name)
                thread.start()
                self._thread = thread
            timer.due_ns, timer.number = due_ns, next(self._numbers)
            heapq.heappush(self._heap, (due_ns, timer.number, timer))
            if len(self._heap) > self._many:  # most have been set anew
                self._heap = [entry for entry in self._heap if _counts(entry)]
                heapq.heapify(self._heap)
                self._many = max(_FEW, 2 * len(self._heap))
            first = self._heap[0][2] is timer
        if first and not starts:
            self._sooner.set()

    def close(self) -> None:
        """End the thread; what was set is never called."""
        with self._lock:
            self._closed = True
            self._heap.clear()
        self._sooner.set()

    def _run(self) -> None:
        while True:
            self._sooner.clear()
            if self._closed:
                return
            timer, left_s = self._next()
            if timer is None:
                self._sooner.wait(left_s)
                continue
            try:
                self._turns.elsewhere(timer.ring)
            except BaseException as error:  # the other timers go on
                self._turns.failed(self._name, of_user_code(error))

    def _next(self) -> tuple[Timer | None, float | None]:
        """Return the timer that is due, or how long there is nothing to do."""
        with self._lock:
            while self._heap:
                entry = self._heap[0]
                left_ns = entry[0] - self._clock.monotonic_ns()
                if _counts(entry) and left_ns > 0:
                    return None, left_ns / NANOSECONDS
                heapq.heappop(self._heap)
                if _counts(entry):
                    entry[2].due_ns = None
                    return entry[2], None
        return None, None


def _counts(entry: tuple[int, int, Timer]) -> bool:
    """Say whether its timer is still set for then."""
    due_ns, number, timer = entry
    return timer.due_ns == due_ns and timer.number == number
