"""One thread per backend that calls at due times, and sleeps in between."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edgekernel.core.clock import NANOSECONDS, Clock, ThreadLike

_log = logging.getLogger(__name__)

Call = Callable[[], None]


class Watcher:
    """Makes calls when they are due, on the clock. Its thread starts with the first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = clock.Condition()
        self._due_ns: dict[Call, int] = {}
        self._wakes_ns: int | None = None
        self._thread: ThreadLike | None = None
        self._flow: object = None
        self._closed = False

    def call_at(self, due_ns: int, call: Call) -> None:
        """Make `call` at a monotonic time, instead of when it was due before."""
        with self._changed:
            if self._closed:
                return
            self._due_ns[call] = due_ns
            if self._thread is None:
                self._thread = self._clock.Thread(self._run, "edgekernel:lines")
                self._thread.start()
            # A later time than it wakes at is found when it does: bouncing wakes nobody.
            if self._wakes_ns is None or due_ns < self._wakes_ns:
                self._changed.notify()

    def close(self) -> None:
        """End the thread, after the call that is under way. Closing twice is harmless."""
        with self._changed:
            self._closed = True
            self._due_ns.clear()
            self._changed.notify()
        if self._thread is not None and self._clock.flow() != self._flow:
            self._thread.join()

    def _run(self) -> None:
        self._flow = self._clock.flow()
        while (call := self._next()) is not None:
            try:
                call()
            except Exception:
                # The line is broken, which whoever reads it is told. The others go on.
                _log.exception("a line could not be looked at when it was due")

    def _next(self) -> Call | None:
        """Wait for the next call that is due and take it; return None when closed."""
        with self._changed:
            while not self._closed:
                call = min(self._due_ns, key=self._due_ns.__getitem__, default=None)
                self._wakes_ns = None if call is None else self._due_ns[call]
                left_ns = 0 if call is None else self._due_ns[call] - self._clock.monotonic_ns()
                if call is not None and left_ns <= 0:
                    del self._due_ns[call]
                    return call
                self._changed.wait(None if call is None else left_ns / NANOSECONDS)
        return None
