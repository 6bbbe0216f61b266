"""Workers: threads for what blocks, so that handlers never wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edgekernel.core.clock import Clock, QueueLike, ThreadLike
from edgekernel.core.errors import of_user_code

MAX_WORKERS = 8
"""How many run at the same time; what comes beyond waits for one of them."""


class Workers:
    """Runs functions beside one another, on threads that are started when they are needed."""

    def __init__(
        self, clock: Clock, name: str, failed: Callable[[str, BaseException], object]
    ) -> None:
        """Have no thread yet; `failed` is told what a function has raised."""
        self._clock = clock
        self._name = name
        self._failed = failed
        self._lock = threading.Lock()
        self._work: QueueLike = clock.Queue()
        self._threads: list[ThreadLike] = []
        self._busy = 0
        self._closed = False

    def submit(self, work: Callable[[], object]) -> None:
        """Run `work` as soon as a thread is free, in the order of submitting."""
        with self._lock:
            if self._closed:
                return
            self._busy += 1
            if self._busy > len(self._threads) and len(self._threads) < MAX_WORKERS:
                name = f"{self._name}-{len(self._threads) + 1}"
                self._threads.append(self._clock.Thread(self._live, name))
                self._threads[-1].start()
        self._work.put(work)

    def close(self) -> None:
        """End the threads, each after what it does; what waits is dropped."""
        with self._lock:
            self._closed = True
        for _ in self._threads:
            self._work.put(None)

    def _live(self) -> None:
        while (work := self._work.get()) is not None:
            if self._closed:
                continue
            try:
                work()
            except BaseException as error:
                self._failed(self._name, of_user_code(error))
            finally:
                with self._lock:
                    self._busy -= 1
