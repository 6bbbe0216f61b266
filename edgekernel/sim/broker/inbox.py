"""The network thread of a client: makes the calls that come over its connection, at their times."""

from __future__ import annotations

from collections.abc import Callable

from edgekernel.core.clock import Clock

Call = Callable[[], object]


class Inbox:
    """A thread that makes calls in the order in which they came, none before its time."""

    def __init__(self, clock: Clock, name: str, failed: Callable[[Exception], object]) -> None:
        """Begin; `failed` is told what a call raises, and the others go on."""
        self._clock = clock
        self._failed = failed
        self._calls = clock.Queue()
        self._ended = clock.Event()
        self._thread = clock.Thread(self._run, name)
        self._thread.start()

    def put(self, due_ns: int, call: Call) -> None:
        """Make a call at a monotonic time."""
        self._calls.put((due_ns, call))

    def close(self, timeout_s: float) -> bool:
        """Make no more calls, and end; return whether that took no longer."""
        self._ended.set()
        self._calls.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (item := self._calls.get()) is not None:
            due_ns, call = item
            if self._clock.wait_until(self._ended, due_ns):
                return
            try:
                call()
            except Exception as error:
                self._failed(error)
