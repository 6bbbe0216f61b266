"""The gate through which the make-up of a runtime is changed: one change at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgekernel.core.clock import Clock


class Gate:
    """Keeps boot, retries and hot changes apart from one another, and from nothing else.

    A part that is being started or stopped may ask for further changes: they belong to the one
    that goes on. Handlers, effects and commands never wait here, a shutdown not for long, and
    who waits is sent away when the shutdown comes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moved = clock.Condition()  # told whenever somebody leaves, or should look again
        self._inside: list[object] = []  # the flows of the one change that goes on
        self._closed = False

    def held(self) -> bool:
        """Say whether the calling thread belongs to the change that goes on."""
        return self._clock.flow() in self._inside

    @contextmanager
    def passing(self, unwanted: Callable[[], bool] = lambda: False) -> Iterator[bool]:
        """Have the runtime to oneself, waiting for it.

        Gives False if the gate is closed, or if `unwanted()` is true while it waits: that is
        asked again after each `look_again`.
        """
        if self.held():
            yield True
            return
        entered = self._enter(unwanted)
        try:
            yield entered
        finally:
            if entered:
                with self._moved:
                    self._inside.clear()
                    self._moved.notify_all()

    def _enter(self, unwanted: Callable[[], bool]) -> bool:
        with self._moved:
            while self._inside and not self._closed and not unwanted():
                self._moved.wait()
            if self._inside or self._closed or unwanted():
                return False
            self._inside.append(self._clock.flow())
            return True

    @contextmanager
    def shared(self, by: object) -> Iterator[None]:
        """Let the calling thread take part in the change of the thread `by`, which waits for it."""
        flow = self._clock.flow()
        with self._moved:
            joined = by in self._inside and flow not in self._inside
            if joined:
                self._inside.append(flow)
        try:
            yield
        finally:
            with self._moved:
                if joined and flow in self._inside:
                    self._inside.remove(flow)

    def look_again(self) -> None:
        """Let all who wait ask again whether they are still wanted."""
        with self._moved:
            self._moved.notify_all()

    def close(self, timeout_s: float) -> bool:
        """Let nobody in any more; return False if a change still goes on after the time.

        The thread whose change goes on does not wait for itself.
        """
        end = self._clock.monotonic() + timeout_s
        with self._moved:
            self._closed = True
            self._moved.notify_all()
            while self._inside and not self.held():
                left = end - self._clock.monotonic()
                if left <= 0:
                    return False
                self._moved.wait(left)
        return True
