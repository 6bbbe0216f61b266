"""Deadlines: ends calls whose time is over and for which nobody waits."""

from __future__ import annotations

import heapq
import threading
from itertools import count

from edgekernel.core.call import Call
from edgekernel.core.clock import Clock, EventLike, ThreadLike

_FEW = 100


class Deadlines:
    """One thread, started with the first deadline, that watches over all of them."""

    def __init__(self, clock: Clock, name: str) -> None:
        self._clock = clock
        self._name = name
        self._lock = threading.Lock()
        self._numbers = count()
        self._due: list[tuple[float, int, Call]] = []
        self._many = _FEW
        self._sooner: EventLike = clock.Event()
        self._thread: ThreadLike | None = None
        self._closed = False

    def add(self, call: Call) -> None:
        """Let a call expire when it has not ended within its limit from now on."""
        if call.limit_s is None or call.done:
            return
        due_s = self._clock.monotonic() + call.limit_s
        with self._lock:
            if self._closed:
                return
            if self._thread is None:
                thread = self._clock.Thread(self._watch, self._name)
                thread.start()
                self._thread = thread
            heapq.heappush(self._due, (due_s, next(self._numbers), call))
            if len(self._due) > self._many:  # most have ended long before their limit
                self._due = [entry for entry in self._due if not entry[2].done]
                heapq.heapify(self._due)
                self._many = max(_FEW, 2 * len(self._due))
            first = self._due[0][2] is call
        if first:
            self._sooner.set()

    def close(self) -> None:
        """End the thread; what has not expired never does."""
        with self._lock:
            self._closed = True
            self._due.clear()
        self._sooner.set()

    def _watch(self) -> None:
        while not self._closed:
            late: Call | None = None
            with self._lock:
                left_s = self._due[0][0] - self._clock.monotonic() if self._due else None
                if left_s is not None and left_s <= 0:
                    late = heapq.heappop(self._due)[2]
            if late is not None:
                late.expire()
            else:
                self._sooner.wait(left_s)
                self._sooner.clear()
