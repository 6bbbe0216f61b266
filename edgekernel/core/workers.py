"""Workers: threads for what blocks, so that handlers never wait for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from edgekernel.core.clock import Clock, ThreadLike
from edgekernel.core.errors import of_user_code

MAX_WORKERS = 8
"""How many run at the same time; what comes beyond waits for one of them."""
_SWEEP_AT = 64

Work = tuple[Callable[[], object], Callable[[], bool]]
"""What to run, and whether somebody still wants that."""


class Workers:
    """Runs functions beside one another, on threads that are started when they are needed."""

    def __init__(
        self, clock: Clock, name: str, failed: Callable[[str, BaseException], object]
    ) -> None:
        """Have no thread yet; `failed` is told what a function has raised."""
        self._clock = clock
        self._name = name
        self._failed = failed
        self._moved = clock.Condition()
        self._waiting: deque[Work] = deque()
        self._sweep_at = _SWEEP_AT
        self._threads: list[ThreadLike] = []
        self._free = 0
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many functions wait for a thread."""
        return len(self._waiting)

    def submit(self, work: Callable[[], object], wanted: Callable[[], bool] = lambda: True) -> None:
        """Run `work` as soon as a thread is free, in the order of submitting.

        While it waits it may be dropped without a word as soon as `wanted()` is false.
        """
        thread: ThreadLike | None = None
        with self._moved:
            if self._closed:
                return
            if len(self._waiting) >= self._sweep_at:
                self._waiting = deque(each for each in self._waiting if each[1]())
                self._sweep_at = max(_SWEEP_AT, 2 * len(self._waiting))
            self._waiting.append((work, wanted))
            if len(self._waiting) > self._free and len(self._threads) < MAX_WORKERS:
                name = f"{self._name}-{len(self._threads) + 1}"
                thread = self._clock.Thread(self._live, name)
                self._threads.append(thread)
            self._moved.notify()
        if thread is not None:
            thread.start()

    def close(self) -> None:
        """End the threads, each after what it does; what waits is dropped."""
        with self._moved:
            self._closed = True
            self._waiting.clear()
            self._moved.notify_all()

    def _take(self) -> Callable[[], object] | None:
        """Return what is to be run next, waiting for it; None when there is nothing any more."""
        with self._moved:
            while not (self._waiting or self._closed):
                self._free += 1
                self._moved.wait()
                self._free -= 1
            return None if self._closed else self._waiting.popleft()[0]

    def _live(self) -> None:
        while (work := self._take()) is not None:
            try:
                work()
            except BaseException as error:
                self._failed(self._name, of_user_code(error))
