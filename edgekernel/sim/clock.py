"""SimClock: simulated time, in which a day takes a moment and every run is the same.

Every thread made by the clock is a fiber (greenlet) on the one thread that made the clock.
A fiber runs until it waits; when all wait, time jumps to the earliest deadline. Times are integer
nanoseconds and ties go by the order of waiting, or by a seed, so the order never varies.
"""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from random import Random
from types import TracebackType
from typing import Self

from edgekernel.core.clock import NANOSECONDS, EventLike, utc

try:
    from greenlet import GreenletExit, getcurrent, greenlet
except ImportError as error:
    raise ImportError(
        "Simulation needs the package greenlet: python -m pip install 'edgekernel[sim]'"
    ) from error

from edgekernel.sim.errors import SimulationError
from edgekernel.sim.primitives import (
    SimCondition,
    SimEvent,
    SimLock,
    SimQueue,
    SimThread,
    Waiter,
)
from edgekernel.sim.stall import Stalls, at
from edgekernel.sim.wall import WallTime

_START = datetime(2026, 1, 1, tzinfo=UTC)
_DAY_S = 86400.0


class SimClock:
    """A clock whose time passes only when everybody waits. Use it from one thread, and close it.

    The thread that makes it plays the outside world: `advance` and `run_until` let time pass,
    and so does everything it waits for itself.
    """

    def __init__(
        self,
        start: datetime = _START,
        *,
        seed: int | None = None,
        rate: float | None = None,
        stall_s: float | None = 30.0,
    ) -> None:
        """Begin at `start`, a timezone-aware wall time; a naive one is a ValueError.

        `seed` chooses the order of those who could run at the same moment: threads that are due at
        once, and who gets a lock, an item or a notification first. Each seed is one order, the
        same in every run; without one it is the order of waiting. `rate` is how many simulated
        seconds pass in a real one, for watching; without it time does not wait. Code that has run
        for `stall_s` real seconds without waiting on this clock is interrupted with a
        SimulationError that names the place (in the main thread, where SIGALRM is free).
        """
        self._wall = WallTime(start)
        self.seed = seed
        self._random = None if seed is None else Random(seed)
        self._now_ns = 0
        self._numbers = count()
        self._timers: list[tuple[int, int, int, Waiter]] = []
        self._ready: deque[Waiter] = deque()
        self._fibers: dict[greenlet, SimThread] = {}
        self._waiting: dict[Waiter, None] = {}
        self._thread = threading.get_ident()
        self._main = getcurrent()
        self._hub = greenlet(self._loop)
        self._closed = False
        self._rate: float | None = None
        self._paced_from = 0, 0.0
        self.rate = rate
        self._stalls = Stalls(stall_s, self._running_fiber)

    @property
    def closed(self) -> bool:
        """Whether nobody can wait on it any more."""
        return self._closed

    @property
    def rate(self) -> float | None:
        """How many simulated seconds pass in a real one; None: as many as can be computed."""
        return self._rate

    @rate.setter
    def rate(self, rate: float | None) -> None:
        if rate is not None and not 0 < rate < math.inf:
            raise ValueError(f"rate={rate!r}: above 0, or None for as fast as can be")
        self._rate = rate
        self._paced_from = self._now_ns, time.monotonic()

    def now_utc(self) -> datetime:
        """Return the simulated wall time, timezone-aware, in UTC."""
        return utc(self.time_ns())

    def time_ns(self) -> int:
        """Return the simulated wall time in nanoseconds since 1970-01-01 UTC."""
        return self._wall.at(self._now_ns)

    def step_wall(self, seconds: float) -> None:
        """Set the wall time forward, or backward if negative, as time synchronisation does.

        The monotonic time, by which everything waits, knows nothing of it.
        """
        self._wall.step(seconds)

    @property
    def wall_drift_ppm(self) -> float:
        """How much faster than the monotonic time the wall time goes, in millionths."""
        return self._wall.drift_ppm

    @wall_drift_ppm.setter
    def wall_drift_ppm(self, ppm: float) -> None:
        self._wall.drift_from(self._now_ns, ppm)

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

    def run_until(
        self, until: Callable[[], bool] | datetime | float, limit_s: float = _DAY_S
    ) -> bool:
        """Let time pass until a condition holds, or until a time; return whether it came to that.

        `until` is a function that is asked at every moment at which something happens, a wall
        time, or a monotonic time in seconds. `limit_s` ends the waiting for a condition.
        """
        if isinstance(until, datetime):
            self.sleep((until - self.now_utc()).total_seconds())
            return True
        if not callable(until):
            self.sleep(until - self.monotonic())
            return True
        end_ns = self._now_ns + int(limit_s * NANOSECONDS)
        while not until():
            due_ns = self._next_ns()
            if due_ns is None or due_ns > end_ns:
                self.wait(None, (end_ns - self._now_ns) / NANOSECONDS, "run_until")
                return until()
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
        self._stalls.close()
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

    def wait(self, place: deque[Waiter] | None, timeout_s: float | None, what: str) -> bool:
        """Wait in `place` until notified; return False if `timeout_s` seconds pass first."""
        self._check_thread(what)
        current = getcurrent()
        if self._closed:
            if current is self._main:
                raise SimulationError(f"{what}: this simulated clock is closed")
            raise GreenletExit
        waiter = Waiter(current, what)
        if place is not None:
            place.append(waiter)
        if timeout_s is not None:
            self._set_timer(waiter, timeout_s)
        self._waiting[waiter] = None
        try:
            if current is self._main:
                with self._stalls.watching():
                    self._hub.switch()
            else:
                self._hub.switch()
        finally:
            waiter.over = True
            del self._waiting[waiter]
            if place is not None and not waiter.notified:
                place.remove(waiter)
        return waiter.notified

    def _set_timer(self, waiter: Waiter, timeout_s: float) -> None:
        wait_ns = round(timeout_s * NANOSECONDS)
        if wait_ns < 1:  # or time would stand still for who waits for the rest of a float
            wait_ns = 1 if timeout_s > 0 else 0
        tie = 0 if self._random is None else self._random.getrandbits(32)
        heapq.heappush(self._timers, (self._now_ns + wait_ns, tie, next(self._numbers), waiter))

    def notify(self, place: deque[Waiter], n: int = 1) -> None:
        """Make the first `n` that wait in `place` go on; they run when the present one waits."""
        while place and n > 0:
            waiter = self._take_from(place)
            if not waiter.over:
                waiter.over = waiter.notified = True
                self._ready.append(waiter)
                n -= 1

    def launch(self, thread: SimThread, run: Callable[[], None]) -> None:
        """Make a fiber that runs when the present one waits."""
        self._check_thread(f"start of {thread.name}")
        fiber = greenlet(run, self._hub)
        self._fibers[fiber] = thread
        self._ready.append(Waiter(fiber, "start"))

    def ended(self, error: BaseException | None) -> None:
        """Forget the running fiber; an error it died of is raised in the main one."""
        self._fibers.pop(getcurrent(), None)
        if error is not None:
            self._main.throw(error)

    def name_of(self, fiber: object) -> str:
        """Return the name of a fiber's thread."""
        thread = self._fibers.get(fiber)  # type: ignore[call-overload]
        return thread.name if thread is not None else "main"

    def _running_fiber(self) -> str | None:
        """Return the name of the fiber that runs now; None if it is the main one."""
        current = getcurrent()
        return self._fibers[current].name if current in self._fibers else None

    def _take_from(self, place: deque[Waiter]) -> Waiter:
        """Take the first; with a seed, any."""
        if self._random is None or len(place) == 1:
            return place.popleft()
        index = self._random.randrange(len(place))
        place.rotate(-index)
        taken = place.popleft()
        place.rotate(index)
        return taken

    def _check_thread(self, what: str) -> None:
        if threading.get_ident() != self._thread:
            raise SimulationError(
                f"{what}: a second thread uses a simulated clock. Start threads with "
                "clock.Thread(...), not with threading.Thread(...)."
            )

    def _next_ns(self) -> int | None:
        if self._ready:
            return self._now_ns
        while self._timers and self._timers[0][3].over:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _loop(self) -> None:
        """The hub: run who is ready; else move time to the earliest deadline."""
        stalls = self._stalls
        while True:
            due_ns = self._next_ns()
            stalls.switches += 1
            if due_ns is None:
                self._main.throw(SimulationError(self._deadlock()))
            elif self._ready:
                self._take_from(self._ready).fiber.switch()
            else:
                if self._rate is not None and not self._paced(due_ns):
                    continue  # who waited has been interrupted, and others may be due sooner
                self._now_ns, _, _, waiter = heapq.heappop(self._timers)
                waiter.over = True
                waiter.fiber.switch()

    def _paced(self, due_ns: int) -> bool:
        """Wait in real time until a moment has come; False if that was interrupted."""
        assert self._rate is not None
        from_ns, from_s = self._paced_from
        due_s = from_s + (due_ns - from_ns) / NANOSECONDS / self._rate
        try:
            while (left_s := due_s - time.monotonic()) > 0:
                self._stalls.switches += 1  # nobody is to blame for this wait
                self._stalls.sleep(min(left_s, 1.0))
        except BaseException as error:  # such as Ctrl-C, which is for the main one
            self._main.throw(error)
            return False
        return True

    def _deadlock(self) -> str:
        lines = [
            f"  {self.name_of(waiter.fiber)}: {waiter.what}{at(waiter.fiber.gr_frame)}"
            for waiter in self._waiting
        ]
        return "everybody waits and no deadline will come:\n" + "\n".join(lines)
