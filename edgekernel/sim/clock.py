"""SimClock: simulated time, in which a day takes a moment and every run is the same.

Every thread made by the clock is a fiber (greenlet) on the one thread that made the clock.
A fiber runs until it waits; when all wait, time jumps to the earliest deadline. Times are integer
nanoseconds and ties go by the order of waiting, so the order never varies.
"""

from __future__ import annotations

import heapq
import queue
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from types import TracebackType
from typing import Any, Self

from edgekernel.core.clock import NANOSECONDS, EventLike
from edgekernel.core.errors import EdgekernelError

try:
    from greenlet import GreenletExit, getcurrent, greenlet
except ImportError as error:
    raise ImportError(
        "Simulation needs the package greenlet: python -m pip install 'edgekernel[sim]'"
    ) from error

_START = datetime(2026, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SimulationError(EdgekernelError, RuntimeError):
    """The simulation cannot go on: everybody waits for ever, or a second thread uses its clock."""


class _Waiter:
    """One wait of one fiber: over when it is notified or when its time comes."""

    __slots__ = ("fiber", "notified", "over", "what")

    def __init__(self, fiber: greenlet, what: str) -> None:
        self.fiber = fiber
        self.what = what
        self.notified = False
        self.over = False


class SimClock:
    """A clock whose time passes only when everybody waits. Use it from one thread, and close it.

    The thread that makes it plays the outside world: `advance` and `run_until` let time pass,
    and so does everything it waits for itself.
    """

    def __init__(self, start: datetime = _START) -> None:
        """Begin at `start`, a timezone-aware wall time; a naive one is a ValueError."""
        if start.tzinfo is None:
            raise ValueError(f"start={start!r} has no time zone; write datetime(..., tzinfo=UTC)")
        self._start_ns = (start - _EPOCH) // timedelta(microseconds=1) * 1000
        self._now_ns = 0
        self._numbers = count()
        self._timers: list[tuple[int, int, _Waiter]] = []
        self._ready: deque[_Waiter] = deque()
        self._fibers: dict[greenlet, SimThread] = {}
        self._waiting: dict[_Waiter, None] = {}
        self._thread = threading.get_ident()
        self._main = getcurrent()
        self._hub = greenlet(self._loop)
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether nobody can wait on it any more."""
        return self._closed

    def now_utc(self) -> datetime:
        """Return the simulated wall time, timezone-aware, in UTC."""
        return datetime.fromtimestamp(self.time_ns() / NANOSECONDS, UTC)

    def time_ns(self) -> int:
        """Return the simulated wall time in nanoseconds since 1970-01-01 UTC."""
        return self._start_ns + self._now_ns

    def monotonic(self) -> float:
        """Return the simulated seconds since the clock was made."""
        return self._now_ns / NANOSECONDS

    def monotonic_ns(self) -> int:
        """Return the simulated nanoseconds since the clock was made."""
        return self._now_ns

    def uptime(self) -> float:
        """Return the simulated seconds since the clock was made."""
        return self._now_ns / NANOSECONDS

    def flow(self) -> object:
        """Return the running fiber."""
        return getcurrent()

    def sleep(self, seconds: float, cancel: EventLike | None = None) -> bool:
        """Sleep; return True as soon as `cancel` is set, False when the time is over."""
        if cancel is not None:
            return cancel.wait(seconds)
        self.wait(None, max(0.0, seconds), "sleep")
        return False

    def advance(self, seconds: float) -> None:
        """Let `seconds` of simulated time pass, with everything that happens in them."""
        self.sleep(seconds)

    def run_until(self, reached: Callable[[], bool], limit_s: float) -> bool:
        """Let time pass until `reached()` or for `limit_s` seconds; return whether it was."""
        end_ns = self._now_ns + int(limit_s * NANOSECONDS)
        while not reached():
            due_ns = self._next_ns()
            if due_ns is None or due_ns > end_ns:
                self.wait(None, (end_ns - self._now_ns) / NANOSECONDS, "run_until")
                return reached()
            self.wait(None, (due_ns - self._now_ns) / NANOSECONDS, "run_until")
        return True

    def Event(self) -> SimEvent:
        """Make an event whose `wait` takes simulated time."""
        return SimEvent(self)

    def Lock(self) -> SimLock:
        """Make a lock whose `acquire` takes simulated time; first come, first served."""
        return SimLock(self)

    def Condition(self) -> SimCondition:
        """Make a condition whose `wait` takes simulated time."""
        return SimCondition(self)

    def Queue(self, maxsize: int = 0) -> SimQueue:
        """Make a queue whose `put` and `get` take simulated time; 0 means unbounded."""
        return SimQueue(self, maxsize)

    def Thread(self, target: Callable[[], object], name: str) -> SimThread:
        """Make a fiber that is not started yet."""
        return SimThread(self, target, name)

    def close(self) -> None:
        """End every fiber that still waits; afterwards nothing can wait on this clock.

        Their `finally` blocks run, as far as they do not wait. What one of them raises is raised
        here, when all have ended.
        """
        self._check_thread("close")
        if getcurrent() is not self._main:
            raise SimulationError("close: a fiber cannot end its own clock; whoever made it can")
        self._closed = True
        errors: list[BaseException] = []
        for fiber, thread in list(self._fibers.items()):
            fiber.parent = self._main  # where the end of the fiber comes back to
            try:
                fiber.throw(GreenletExit)
            except BaseException as error:
                errors.append(error)
            thread.finish()
        self._fibers.clear()
        self._timers.clear()
        self._ready.clear()
        if errors:
            raise errors[0] if len(errors) == 1 else BaseExceptionGroup("closing", errors)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def wait(self, place: deque[_Waiter] | None, timeout_s: float | None, what: str) -> bool:
        """Wait in `place` until notified; return False if `timeout_s` seconds pass first."""
        self._check_thread(what)
        if self._closed:
            if getcurrent() is self._main:
                raise SimulationError(f"{what}: this simulated clock is closed")
            raise GreenletExit
        waiter = _Waiter(getcurrent(), what)
        if place is not None:
            place.append(waiter)
        if timeout_s is not None:
            due_ns = self._now_ns + max(0, round(timeout_s * NANOSECONDS))
            heapq.heappush(self._timers, (due_ns, next(self._numbers), waiter))
        self._waiting[waiter] = None
        try:
            self._hub.switch()
        finally:
            waiter.over = True
            del self._waiting[waiter]
            if place is not None and not waiter.notified:
                place.remove(waiter)
        return waiter.notified

    def notify(self, place: deque[_Waiter], n: int = 1) -> None:
        """Make the first `n` that wait in `place` go on; they run when the present one waits."""
        while place and n > 0:
            waiter = place.popleft()
            if not waiter.over:
                waiter.over = waiter.notified = True
                self._ready.append(waiter)
                n -= 1

    def launch(self, thread: SimThread, run: Callable[[], None]) -> None:
        """Make a fiber that runs when the present one waits."""
        self._check_thread(f"start of {thread.name}")
        fiber = greenlet(run, self._hub)
        self._fibers[fiber] = thread
        self._ready.append(_Waiter(fiber, "start"))

    def ended(self, error: BaseException | None) -> None:
        """Forget the running fiber; an error it died of is raised in the main one."""
        self._fibers.pop(getcurrent(), None)
        if error is not None:
            self._main.throw(error)

    def _check_thread(self, what: str) -> None:
        if threading.get_ident() != self._thread:
            raise SimulationError(
                f"{what}: a second thread uses a simulated clock. Start threads with "
                "clock.Thread(...), not with threading.Thread(...)."
            )

    def _next_ns(self) -> int | None:
        if self._ready:
            return self._now_ns
        while self._timers and self._timers[0][2].over:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _loop(self) -> None:
        """The hub: run who is ready; else move time to the earliest deadline."""
        while True:
            due_ns = self._next_ns()
            if due_ns is None:
                self._main.throw(SimulationError(self._deadlock()))
            elif self._ready:
                self._ready.popleft().fiber.switch()
            else:
                self._now_ns, _, waiter = heapq.heappop(self._timers)
                waiter.over = True
                waiter.fiber.switch()

    def _deadlock(self) -> str:
        lines = [
            f"  {self._fibers[w.fiber].name if w.fiber in self._fibers else 'main'}: {w.what}"
            for w in self._waiting
        ]
        return "everybody waits and no deadline will come:\n" + "\n".join(lines)


class SimThread:
    """A fiber with the face of a thread."""

    def __init__(self, clock: SimClock, target: Callable[[], object], name: str) -> None:
        self.name = name
        self._clock = clock
        self._target = target
        self._started = self._alive = False
        self._joining: deque[_Waiter] = deque()

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

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._set = False
        self._place: deque[_Waiter] = deque()

    def is_set(self) -> bool:
        """Say whether it is set."""
        return self._set

    def set(self) -> None:
        """Set it; all who wait go on."""
        self._set = True
        self._clock.notify(self._place, len(self._place))

    def clear(self) -> None:
        """Unset it."""
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most `timeout` simulated seconds; return whether it was."""
        return self._set or self._clock.wait(self._place, timeout, "event")


class SimLock:
    """A lock, first come, first served."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._held = False
        self._place: deque[_Waiter] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it, waiting at most `timeout` simulated seconds (-1: for ever)."""
        if not self._held:
            self._held = True
            return True
        if not blocking:
            return False
        return self._clock.wait(self._place, None if timeout < 0 else timeout, "lock")

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
        self._place: deque[_Waiter] = deque()

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
        self._getting: deque[_Waiter] = deque()
        self._putting: deque[_Waiter] = deque()

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
        place: deque[_Waiter],
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
