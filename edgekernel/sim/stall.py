"""Stalls: code in a simulation that waits on something else than its clock, found and named.

Two things are watched while a simulation runs. `time.sleep` in a fiber is refused: it would stop
the whole simulation for so long. And every `stall_s` real seconds a timer signal asks whether any
fiber has waited on the clock since the last one; if none has, the one that runs is interrupted.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import SupportsIndex
from weakref import WeakSet

from edgekernel.sim.errors import SimulationError

_real_sleep = time.sleep
_OURS = str(Path(__file__).parent)


def at(frame: FrameType | None) -> str:
    """Return ", at " with file, line and function of the innermost frame outside of this package;
    empty if there is none."""
    while frame is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    if frame is None:
        return ""
    return f", at {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


class Stalls:
    """Watches one simulated clock, in the thread that made it."""

    def __init__(
        self,
        limit_s: float | None,
        running: Callable[[], str | None],
        progress: Callable[[], int],
    ) -> None:
        """Interrupt what runs for `limit_s` real seconds.

        `running` names the fiber that runs, `progress` grows with every wait on the clock.
        """
        self._limit_s = limit_s
        self._running = running
        self._thread = threading.get_ident()
        self._progress = progress
        self._seen = 0
        _watched.add(self)
        time.sleep = _sleep

    def close(self) -> None:
        """Watch no longer."""
        _watched.discard(self)
        _restore_if_unused()

    def sleep(self, seconds: float) -> None:
        """Sleep in real time."""
        _real_sleep(seconds)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch for stalls while the main fiber waits."""
        free = self._limit_s is not None and threading.current_thread() is threading.main_thread()
        if not free or signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL:
            yield
            return
        self._seen = -1
        signal.signal(signal.SIGALRM, self._look)
        signal.setitimer(signal.ITIMER_REAL, self._limit_s or 0.0, self._limit_s or 0.0)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def _look(self, number: int, frame: FrameType | None) -> None:
        seen, self._seen = self._seen, self._progress()
        if seen == self._seen:
            raise SimulationError(
                f"{self._running() or 'main'} has not waited on the simulated clock for "
                f"{self._limit_s:g} s of real time{at(frame)}"
            )

    def refusal(self) -> str | None:
        """Return whose `time.sleep` this is, if it is one that would stop this simulation."""
        return self._running() if threading.get_ident() == self._thread else None


_watched: WeakSet[Stalls] = WeakSet()
"""Those of the clocks that are in use."""


def _restore_if_unused() -> None:
    if not _watched and time.sleep is _sleep:
        time.sleep = _real_sleep


def _sleep(seconds: float | SupportsIndex, /) -> None:
    """Stand in for `time.sleep` while there is a simulated clock."""
    for stalls in list(_watched):
        fiber = stalls.refusal()
        if fiber is not None and (wait_s := float(seconds)) > 0:
            raise SimulationError(
                f"{fiber}: time.sleep({wait_s:g}) waits in real time{at(sys._getframe(1))}; "
                "write clock.sleep(...) of the runtime's clock (ctx.clock, self.clock)"
            )
    _restore_if_unused()  # a clock may have been dropped without its end
    _real_sleep(seconds)
