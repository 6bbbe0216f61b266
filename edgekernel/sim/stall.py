"""Stalls: code in a simulation that waits on something else than its clock, found and named.

Two things are watched while there is a simulated clock. `time.sleep` in what runs on it is refused:
it would stop the whole simulation for so long. And every `stall_s` real seconds a timer signal asks
whether any fiber has waited on the clock since the last one; if none has, the one that runs is
interrupted. What the main fiber does for itself is nobody's concern, what it does for a runtime is:
it may run handlers, effects and the start of parts.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, SupportsIndex
from weakref import WeakSet, ref

from edgekernel.sim.errors import SimulationError

_real_sleep = time.sleep
_HERE = str(Path(__file__).parent) + os.sep
_EDGEKERNEL = str(Path(__file__).parents[1]) + os.sep
_PYTHONS = str(Path(threading.__file__).parent) + os.sep
_PACKAGES = ("site-packages", "dist-packages")


def at(frame: FrameType | None) -> str:
    """Return ", at " with file, line and function of the innermost frame that is neither
    edgekernel's nor of Python's own library, and what is called there; empty if there is none."""
    while frame is not None and frame.f_code.co_filename.startswith((_HERE, "<frozen ")):
        frame = frame.f_back
    innermost = frame
    while frame is not None and _is_library(frame.f_code.co_filename):
        frame = frame.f_back
    if innermost is None:
        return ""
    if frame is None or frame is innermost:
        return f", at {_place(innermost)}"
    return f", at {_place(frame)}, which is at {_place(innermost)}"


def coroutines(frame: FrameType | None) -> list[str]:
    """Say of each coroutine of the event loop that runs in a frame where it waits."""
    while frame is not None and frame.f_code.co_name != "run_forever":
        frame = frame.f_back
    if frame is None:
        return []
    import asyncio  # there is a loop: it is loaded

    tasks = sorted(asyncio.all_tasks(frame.f_locals["self"]), key=asyncio.Task.get_name)
    return [f"{task.get_name()}{_waits_at(task.get_coro())}" for task in tasks]


def _waits_at(coroutine: Any) -> str:
    place = ""
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        if not place or not _is_library(frame.f_code.co_filename):
            place = f", at {_place(frame)}"
        coroutine = coroutine.cr_await
    return place


def _is_library(file: str) -> bool:
    if file.startswith((_EDGEKERNEL, "<frozen ")):
        return True
    return file.startswith(_PYTHONS) and not any(each in file for each in _PACKAGES)


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


class Stalls:
    """Watches one simulated clock, in the thread that made it."""

    timed: ClassVar[ref[Stalls] | None] = None
    """Whose the timer is: a process has only one."""

    def __init__(
        self,
        limit_s: float | None,
        running: Callable[[], str | None],
        progress: Callable[[], tuple[int, object]],
    ) -> None:
        """Interrupt what runs for `limit_s` real seconds.

        `running` names what runs on the clock; None while that is nothing. `progress` is the
        number of the latest wait on the clock, and the turn that runs.
        """
        self._limit_s = limit_s
        self._running = running
        self._thread = threading.get_ident()
        self._progress = progress
        self._seen: tuple[int, object] | None = None
        _watched.add(self)
        time.sleep = _sleep
        self.watch()

    def close(self) -> None:
        """Watch no longer."""
        _watched.discard(self)
        _restore_if_unused()
        if self._has_timer():
            _end_alarm()

    def sleep(self, seconds: float) -> None:
        """Sleep in real time."""
        _real_sleep(seconds)

    def watch(self) -> None:
        """Let the timer be this one's, if it is free or another clock's."""
        handler = signal.getsignal(signal.SIGALRM)
        if handler is _alarm and self._has_timer():
            return
        if self._limit_s is None or threading.current_thread() is not threading.main_thread():
            return
        if handler in (signal.SIG_DFL, _alarm):
            self._seen = None
            Stalls.timed = ref(self)
            signal.signal(signal.SIGALRM, _alarm)
            signal.setitimer(signal.ITIMER_REAL, self._limit_s, self._limit_s)

    def forget(self) -> None:
        """Begin anew: what was seen may belong to somebody who has ended, and would keep it."""
        self._seen = None

    def _has_timer(self) -> bool:
        return self.timed is not None and self.timed() is self

    def look(self, frame: FrameType | None) -> None:
        """Raise SimulationError in what runs, if nothing has waited since the last look."""
        running = self._running()
        if running is None:
            self._seen = None
            return
        seen, self._seen = self._seen, self._progress()
        if seen is not None and seen[0] == self._seen[0] and seen[1] is self._seen[1]:
            raise SimulationError(
                f"{running} has not waited on the simulated clock for "
                f"{self._limit_s:g} s of real time{at(frame)}"
            )

    def refusal(self) -> str | None:
        """Return whose `time.sleep` this is, if it is one that would stop this simulation."""
        return self._running() if threading.get_ident() == self._thread else None


_watched: WeakSet[Stalls] = WeakSet()
"""Those of the clocks that are in use."""


def _alarm(number: int, frame: FrameType | None) -> None:
    stalls = None if Stalls.timed is None else Stalls.timed()
    if stalls is None:  # dropped without its end
        _end_alarm()
    else:
        stalls.look(frame)


def _end_alarm() -> None:
    Stalls.timed = None
    if signal.getsignal(signal.SIGALRM) is _alarm:  # else it is somebody else's by now
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


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
