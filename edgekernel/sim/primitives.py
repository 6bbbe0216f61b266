"""What waits on a simulated clock: threads, events, locks, conditions and queues, as fibers."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit, greenlet

from edgekernel.core.clock import NANOSECONDS

if TYPE_CHECKING:
    from edgekernel.sim.clock import SimClock


class Flow:
    """A fiber of a clock, and what it waits for."""

    __slots__ = ("fiber", "name", "notified", "number", "thread", "what")

    def __init__(self, fiber: greenlet, name: str, thread: SimThread | None = None) -> None:
        self.fiber = fiber
        self.name = name
        self.thread = thread
        self.number = 0
        """Of its present wait; 0 while it does not wait, or what it waited for has come."""
        self.notified = False
        self.what = ""


class SimThread:
    """A fiber with the face of a thread."""

    def __init__(
        self, clock: SimClock, target: Callable[[], object], name: str, owner: object = None
    ) -> None:
        self.name = name
        self.owner = owner
        """Whose it is, if it is to end with others."""
        self.caller: Flow | None = None
        """Whose turn it is when it ends, if that one waits for it: see `SimClock.hand_over`."""
        self._clock = clock
        self._target = target
        self._started = self._alive = False
        self._joining: deque[Flow] = deque()

    def start(self) -> None:
        """Let it run as soon as the present fiber waits."""
        if self._started:
            raise RuntimeError(f"{self.name}: a thread can be started once only")
        self._clock.launch(self, self._run)
        self._started = self._alive = True

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, at most `timeout` simulated seconds."""
        if not self._started:
            raise RuntimeError(f"{self.name}: join of a thread that was not started")
        if self._alive:
            self._clock.wait(self._joining, timeout, f"join of {self.name}")

    def is_alive(self) -> bool:
        """Say whether it has started and not ended."""
        return self._alive

    def finish(self) -> None:
        """Let those go on who wait for its end; called by the clock and by itself."""
        self._alive = False
        self._clock.notify(self._joining, len(self._joining))

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._target()
        except GreenletExit:
            return
        except BaseException as raised:
            error = raised
        finally:
            self.finish()
        self._clock.ended(error)


class SimEvent:
    """A flag to wait for in simulated time."""

    __slots__ = ("_clock", "flag", "place")

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self.flag = False
        self.place: deque[Flow] = deque()
        """Where those wait who wait for it."""

    def is_set(self) -> bool:
        """Say whether it is set."""
        return self.flag

    def set(self) -> None:
        """Set it; all who wait go on."""
        self.flag = True
        self._clock.notify(self.place, len(self.place))

    def clear(self) -> None:
        """Unset it."""
        self.flag = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most `timeout` simulated seconds; return whether it was."""
        return self.flag or self._clock.wait(self.place, timeout, "event")


class SimLock:
    """A lock, first come, first served."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._held = False
        self._holder: Flow | None = None
        self._place: deque[Flow] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it, waiting at most `timeout` simulated seconds (-1: for ever)."""
        if self._held:
            if not blocking:
                return False
            what = f"lock that {self._holder.name if self._holder else 'nobody'} has"
            if not self._clock.wait(self._place, None if timeout < 0 else timeout, what):
                return False
        self._held = True
        self._holder = self._clock.current
        return True

    def release(self) -> None:
        """Give it to the first who waits, or free it."""
        if not self._held and not self._clock.closed:  # a closed clock unwinds waits inside too
            raise RuntimeError("release of a lock that is not held")
        if self._place:
            self._clock.notify(self._place)  # stays held: it is the other's now
        else:
            self._held = False

    def locked(self) -> bool:
        """Say whether somebody holds it."""
        return self._held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class SimCondition:
    """A lock to wait on until notified."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._lock = SimLock(clock)
        self._place: deque[Flow] = deque()

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Release the lock, wait, and take it again; return whether it was notified."""
        self._lock.release()
        try:
            return self._clock.wait(self._place, timeout, "condition")
        finally:
            self._lock.acquire()

    def notify(self, n: int = 1) -> None:
        """Let the first `n` who wait go on; the lock must be held."""
        if not self._lock.locked():
            raise RuntimeError("notify of a condition whose lock is not held")
        self._clock.notify(self._place, n)

    def notify_all(self) -> None:
        """Let all who wait go on; the lock must be held."""
        self.notify(len(self._place))


class SimQueue:
    """A first-in first-out queue; raises `queue.Full` and `queue.Empty`."""

    def __init__(self, clock: SimClock, maxsize: int) -> None:
        self._clock = clock
        self._maxsize = maxsize
        self._items: deque[Any] = deque()
        self._getting: deque[Flow] = deque()
        self._putting: deque[Flow] = deque()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Append an item, waiting for room at most `timeout` simulated seconds."""
        self._until(lambda: not 0 < self._maxsize <= len(self._items), self._putting, block,
                    timeout, queue.Full)  # fmt: skip
        self._items.append(item)
        self._clock.notify(self._getting)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take the first item, waiting for one at most `timeout` simulated seconds."""
        self._until(lambda: bool(self._items), self._getting, block, timeout, queue.Empty)
        item = self._items.popleft()
        self._clock.notify(self._putting)
        return item

    def qsize(self) -> int:
        """Return how many items wait."""
        return len(self._items)

    def _until(
        self,
        possible: Callable[[], bool],
        place: deque[Flow],
        block: bool,
        timeout: float | None,
        otherwise: type[Exception],
    ) -> None:
        now_ns = self._clock.monotonic_ns
        end_ns = None if timeout is None else now_ns() + round(timeout * NANOSECONDS)
        while not possible():
            left_ns = None if end_ns is None else end_ns - now_ns()
            if not block or (left_ns is not None and left_ns <= 0):
                raise otherwise
            self._clock.wait(place, None if left_ns is None else left_ns / NANOSECONDS, "queue")
