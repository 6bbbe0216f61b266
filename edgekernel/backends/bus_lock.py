"""The lock of a bus: one flow has it, for one transaction or for several."""

from __future__ import annotations

from types import TracebackType

from edgekernel.core.clock import Clock


class BusLock:
    """A lock that the flow (thread or fiber) that has it may take again; others wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = clock.Lock()
        self._owner: object = None  # set by the owner, and looked at by others in vain
        self._depth = 0

    def take(self, *, wait: bool = True) -> bool:
        """Take the lock; say whether it was had, which without `wait` it may not be."""
        flow = self._clock.flow()
        if self._owner != flow:
            if not self._lock.acquire(blocking=wait):
                return False
            self._owner = flow
        self._depth += 1
        return True

    def give(self) -> None:
        """Give back what was taken once."""
        self._depth -= 1
        if self._depth == 0:
            self._owner = None
            self._lock.release()

    def __enter__(self) -> None:
        self.take()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.give()
