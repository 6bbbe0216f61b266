"""Workers: threads for what blocks, so that handlers never wait for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import count

from edgekernel.core.clock import Clock
from edgekernel.core.errors import of_user_code

MAX_WORKERS = 8
"""How many run at the same time, and what comes beyond waits for one of them; those without such
a limit keep so many threads for later."""
_SWEEP_AT = 64

Work = tuple[Callable[[], object], Callable[[], bool]]
"""What to run, and whether somebody still wants that."""


class Workers:
    """Runs functions beside one another, on threads that are started when they are needed."""

    def __init__(
        self,
        clock: Clock,
        name: str,
        failed: Callable[[str, BaseException], object],
        at_most: float = MAX_WORKERS,
    ) -> None:
        """Have no thread yet; `failed` is told what a function has raised.

        `at_most` run at the same time; `math.inf` is no limit, so that none waits for others that
        hang.
        """
        self._clock = clock
        self._name = name
        self._failed = failed
        self._at_most = at_most
        self._moved = clock.Condition()
        self._waiting: deque[Work] = deque()
        self._sweep_at = _SWEEP_AT
        self._numbers = count(1)
        self._threads = self._free = 0
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many functions wait for a thread."""
        return len(self._waiting)

    def submit(self, work: Callable[[], object], wanted: Callable[[], bool] = lambda: True) -> None:
        """Run `work` as soon as a thread is free, in the order of submitting.

        While it waits it may be dropped without a word as soon as `wanted()` is false. Raises
        RuntimeError, and does not run it, if a thread for it cannot be started.
        """
        with self._moved:
            if self._closed:
                return
            if len(self._waiting) >= self._sweep_at:
                self._waiting = deque(each for each in self._waiting if each[1]())
                self._sweep_at = max(_SWEEP_AT, 2 * len(self._waiting))
            self._waiting.append((work, wanted))
            more = len(self._waiting) > self._free and self._threads < self._at_most
            self._threads += more
            self._moved.notify()
        if more:
            self._begin((work, wanted))

    def _begin(self, work: Work) -> None:
        """Start one more thread; if that cannot be, for `work`, drop that."""
        try:
            self._clock.Thread(self._live, f"{self._name}-{next(self._numbers)}").start()
        except BaseException:
            with self._moved:
                self._threads -= 1
                if work not in self._waiting:
                    return  # somebody has taken it meanwhile
                self._waiting.remove(work)
            raise

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
                if self._threads > MAX_WORKERS:  # others are enough for what comes
                    self._threads -= 1
                    return None
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
