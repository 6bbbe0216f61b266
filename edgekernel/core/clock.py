"""Time and everything that waits for it.

All of edgekernel waits on a `Clock`, never on `time` or `threading`: on `SystemClock` the
primitives are Python's own, on the simulated clock (`edgekernel.sim`) they are fibers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from datetime import datetime  # costs 1 ms: only where somebody asks for a date

NANOSECONDS = 1_000_000_000


def utc(time_ns: int) -> datetime:
    """Return a wall time in nanoseconds since 1970-01-01 UTC as a date, timezone-aware."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time_ns / NANOSECONDS, UTC)


class EventLike(Protocol):
    """A flag to wait for, as `threading.Event`."""

    def is_set(self) -> bool: ...
    def set(self) -> None: ...
    def clear(self) -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...


class LockLike(Protocol):
    """A mutual exclusion, as `threading.Lock`."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...
    def release(self) -> None: ...
    def __enter__(self) -> bool: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


class ConditionLike(Protocol):
    """A lock to wait on until notified, as `threading.Condition`."""

    def __enter__(self) -> bool: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...
    def notify(self, n: int = 1) -> None: ...
    def notify_all(self) -> None: ...


class QueueLike(Protocol):
    """A first-in first-out hand-over, as `queue.Queue`; raises `queue.Empty` and `queue.Full`."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None: ...
    def get(self, block: bool = True, timeout: float | None = None) -> Any: ...
    def qsize(self) -> int: ...


class ThreadLike(Protocol):
    """A thread of execution, as `threading.Thread`."""

    name: str

    def start(self) -> None: ...
    def join(self, timeout: float | None = None) -> None: ...
    def is_alive(self) -> bool: ...


def could_start(thread: ThreadLike) -> bool:
    """Start a thread; False if the system has no more threads for this process, as of now."""
    try:
        thread.start()
    except RuntimeError as error:
        if type(error) is not RuntimeError:  # a mistake, such as that of a simulation
            raise
        return False
    return True


class Clock(Protocol):
    """Tells the time, sleeps, and makes the primitives that wait.

    Times are seconds as float where people read them and integer nanoseconds where sums must
    not drift. Scheduling uses the monotonic time only; the UTC time is for people and logs.
    """

    def now_utc(self) -> datetime:
        """Return the wall time, timezone-aware, in UTC."""
        ...

    def time_ns(self) -> int:
        """Return the wall time in nanoseconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds since an arbitrary moment; never goes back."""
        ...

    def monotonic_ns(self) -> int:
        """Return `monotonic` in integer nanoseconds."""
        ...

    def uptime(self) -> float:
        """Return seconds since this clock was made."""
        ...

    def sleep(self, seconds: float, cancel: EventLike | None = None) -> bool:
        """Sleep; return True as soon as `cancel` is set, False when the time is over."""
        ...

    def wait_until(self, wake: EventLike, monotonic_ns: int) -> bool:
        """Wait until `wake` is set, at most to a monotonic time; return whether it is set."""
        ...

    def flow(self) -> object:
        """Return what identifies the running thread (or fiber) among those alive."""
        ...

    def Event(self) -> EventLike: ...
    def Lock(self) -> LockLike: ...
    def Condition(self) -> ConditionLike: ...
    def Queue(self, maxsize: int = 0) -> QueueLike: ...
    def Thread(self, target: Callable[[], object], name: str) -> ThreadLike:
        """Make a daemon thread that is not started yet."""
        ...


class SystemClock:
    """The real time and the real threads of this machine."""

    def __init__(self) -> None:
        self._origin = time.monotonic()

    def now_utc(self) -> datetime:
        """Return the wall time, timezone-aware, in UTC."""
        return utc(time.time_ns())

    time_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)
    monotonic_ns = staticmethod(time.monotonic_ns)
    flow = staticmethod(threading.get_ident)

    def uptime(self) -> float:
        """Return seconds since this clock was made."""
        return time.monotonic() - self._origin

    def sleep(self, seconds: float, cancel: EventLike | None = None) -> bool:
        """Sleep; return True as soon as `cancel` is set, False when the time is over."""
        if cancel is not None:
            return cancel.wait(max(0.0, seconds))
        if seconds > 0:
            time.sleep(seconds)
        return False

    def wait_until(self, wake: EventLike, monotonic_ns: int) -> bool:
        """Wait until `wake` is set, at most to a monotonic time; return whether it is set."""
        while (left_ns := monotonic_ns - time.monotonic_ns()) > 0:
            if wake.wait(left_ns / NANOSECONDS):
                return True
        return wake.is_set()

    def Event(self) -> EventLike:
        """Make a `threading.Event`."""
        return threading.Event()

    def Lock(self) -> LockLike:
        """Make a `threading.Lock`."""
        return threading.Lock()

    def Condition(self) -> ConditionLike:
        """Make a `threading.Condition`."""
        return threading.Condition()

    def Queue(self, maxsize: int = 0) -> QueueLike:
        """Make a `queue.Queue`; 0 means unbounded."""
        import queue  # needed by few

        return queue.Queue(maxsize)

    def Thread(self, target: Callable[[], object], name: str) -> ThreadLike:
        """Make a daemon `threading.Thread` that is not started yet."""
        return threading.Thread(target=target, name=name, daemon=True)
