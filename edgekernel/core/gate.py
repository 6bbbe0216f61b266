"""The gate through which the make-up of a runtime is changed: one change at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgekernel.core.clock import Clock


class Gate:
    """Keeps boot, retries and hot changes apart from one another, and from nothing else.

    A part that is being started or stopped may ask for further changes: they belong to the one
    that goes on. Handlers, effects, commands and the shutdown never wait here without a limit.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = clock.Lock()
        self._owner: object = None

    def held(self) -> bool:
        """Say whether the calling thread is changing the runtime already."""
        return self._owner is not None and self._owner == self._clock.flow()

    @contextmanager
    def passing(self, timeout_s: float = -1) -> Iterator[bool]:
        """Have the runtime to oneself; gives False if that was not to be had in time."""
        if self.held():
            yield True
            return
        got = self._lock.acquire(timeout=timeout_s)
        if got:
            self._owner = self._clock.flow()
        try:
            yield got
        finally:
            if got:
                self._owner = None
                self._lock.release()
