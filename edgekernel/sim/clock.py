"""SimClock: simulated time, in which a day takes a moment and every run is the same.

Every thread made by the clock is a fiber (greenlet) on the one thread that made the clock.
A fiber runs until it waits; when all wait, time jumps to the earliest deadline. Times are integer
nanoseconds and ties go by the order of waiting, or by a seed, so the order never varies.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from heapq import heapify, heappop, heappush, heappushpop
from random import Random
from textwrap import indent
from threading import get_ident
from types import TracebackType
from typing import Any, Self

from edgekernel.core.clock import NANOSECONDS, EventLike, ThreadLike, utc
from edgekernel.core.turns import current_queue

try:
    from greenlet import GreenletExit, getcurrent, greenlet
except ImportError as error:
    raise ImportError(
        "Simulation needs the package greenlet: python -m pip install 'edgekernel[sim]'"
    ) from error

from edgekernel.sim.errors import SimulationError
from edgekernel.sim.primitives import (
    Flow,
    SimCondition,
    SimEvent,
    SimLock,
    SimQueue,
    SimThread,
)
from edgekernel.sim.stall import Stalls, at, coroutines
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
        monotonic_ns: int = 0,
        uptime_s: float = 0.0,
        seed: int | None = None,
        rate: float | None = None,
        stall_s: float | None = 30.0,
    ) -> None:
        """Begin at `start`, a timezone-aware wall time; a naive one is a ValueError.

        `monotonic_ns` and `uptime_s` are the monotonic time and the uptime then: those of a
        journal, if it is replayed.
        `seed` chooses the order of those who could run at the same moment: threads that are due at
        once, and who gets a lock, an item or a notification first. Each seed is one order, the
        same in every run; without one it is the order of waiting. `rate` is how many simulated
        seconds pass in a real one, for watching; without it time does not wait. Code that has run
        for `stall_s` real seconds without waiting on this clock is interrupted with a
        SimulationError that names the place (in the main thread, where SIGALRM is free); of the
        main fiber, what it runs of a runtime, such as a handler.
        """
        self._wall = WallTime(start, monotonic_ns)
        self.seed = seed
        self._random = None if seed is None else Random(seed)
        self._now_ns = monotonic_ns
        self._begun_ns = monotonic_ns - round(uptime_s * NANOSECONDS)
        self._number = 0  # of the latest wait
        self._timers: list[tuple[int, int, Flow]] = []
        self._ready: deque[Flow] = deque()
        self._first: Flow | None = None  # before all that are ready
        self._flows: dict[Flow, None] = {}
        self._thread = get_ident()
        self._main = self._current = Flow(getcurrent(), "main")
        self._hub = greenlet(self._loop)
        self._hub_flow = Flow(self._hub, "hub")
        self._hub_runs = self._direct = self._closed = self._ending = False
        self._looks: list[Callable[[], object]] = []
        self._rate: float | None = None
        self._paced_from = 0, 0.0
        self.rate = rate
        self._stalls = Stalls(stall_s, self._running_fiber, self._progress)

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
        self._choose_way()

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
        """Return the simulated monotonic time in seconds: since the clock was made, if it began
        at 0."""
        return self._now_ns / NANOSECONDS

    def monotonic_ns(self) -> int:
        """Return `monotonic` in integer nanoseconds."""
        return self._now_ns

    def uptime(self) -> float:
        """Return the simulated seconds since the clock was made, and what it began with."""
        return (self._now_ns - self._begun_ns) / NANOSECONDS

    def flow(self) -> object:
        """Return the running fiber; whoever emits, sets or invokes asks for it."""
        if get_ident() != self._thread:
            self._refuse_thread("call into the runtime")
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

    def interrupt(self) -> None:
        """Let what the main fiber waits for end now, as if it were over; for signal handlers.

        An exception that such a handler raises would meet whichever fiber runs at that moment.
        """
        if self._main.number:
            self._main.number = 0
            self._main.notified = True
            self._ready.append(self._main)

    def before_time_passes(self, look: Callable[[], object]) -> Callable[[], None]:
        """Call `look` whenever time is about to pass; return what ends that.

        All that happens at one moment has happened then, so it sees each state that lasts. It only
        looks: it must neither wait nor raise.
        """
        self._looks.append(look)
        return lambda: self._looks.remove(look)

    def waiting(self) -> list[str]:
        """Say of each fiber that has not ended what it waits for, and where; so of an event loop
        each coroutine, on a line of its own."""
        return [self._wait_of(flow) for flow in self._flows]

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
        if self._current is not self._main:
            raise SimulationError("close: a fiber cannot end its own clock; whoever made it can")
        self._closed = True
        self._choose_way()
        errors: list[BaseException] = []
        for flow in list(self._flows):
            flow.fiber.parent = self._main.fiber  # where the end of the fiber comes back to
            self._current = flow
            try:
                flow.fiber.throw(GreenletExit)
            except BaseException as error:
                errors.append(error)
            self._current = self._main
            if flow.thread is not None:
                flow.thread.finish()
        self._flows.clear()
        self._timers.clear()
        self._ready.clear()
        self._stalls.close()
        if errors:
            raise errors[0] if len(errors) == 1 else BaseExceptionGroup("closing", errors)

    def end_threads(self, owner: object) -> None:
        """End the threads of an owner where they wait, as the kernel ends those of a process.

        Their `finally` blocks run, as far as they do not wait; what these raise is nobody's. Raises
        SimulationError if one of them calls it.
        """
        self._check_thread("end_threads")
        self.check_not_of(owner)
        caller = self._current
        self._ending = self._closed = True  # who waits now is one of them
        try:
            while ending := [f for f in self._flows if _is_of(f, owner)]:
                for flow in ending:
                    self._unwind(flow, caller)
        finally:
            self._ending = self._closed = False
        self._stalls.forget()
        self._ready = deque(f for f in self._ready if f is self._main or f in self._flows)
        self._timers[:] = [each for each in self._timers if not _is_of(each[2], owner)]
        heapify(self._timers)

    def check_not_of(self, owner: object) -> None:
        """Raise SimulationError if a thread of that owner runs now."""
        running = self._current
        if running.thread is not None and running.thread.owner is owner:
            raise SimulationError(f"{running.name}: a thread cannot end itself and its like")

    def _unwind(self, flow: Flow, caller: Flow) -> None:
        """Let a fiber end where it waits, and come back."""
        flow.fiber.parent = caller.fiber
        self._current = flow
        try:
            flow.fiber.throw(GreenletExit)
        finally:
            self._current = caller
            self._flows.pop(flow, None)
        if flow.thread is not None:
            flow.thread.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def wait_until(self, wake: Any, monotonic_ns: int) -> bool:
        """Wait until `wake`, an event of this clock, is set, at most to a monotonic time; return
        whether it is set."""
        flow, place = self._current, wake.place
        if not self._direct or flow is self._main or self._ready or get_ident() != self._thread:
            return wake.flag or self._wait(place, monotonic_ns, "event")
        if wake.flag:
            return True
        # What follows is `_wait`, in place, for when nobody is ready: here every tick passes.
        flow.what = "event"
        flow.notified = False
        self._number = flow.number = number = self._number + 1
        place.append(flow)
        try:
            following = self._come_to(heappushpop(self._timers, (monotonic_ns, number, flow)))
            if following is not flow:
                self._current = following
                following.fiber.switch()
        finally:
            flow.number = 0
            if not flow.notified:
                place.remove(flow)
        return flow.notified

    def wait(self, place: deque[Flow] | None, timeout_s: float | None, what: str) -> bool:
        """Wait in `place` until notified; return False if `timeout_s` seconds pass first."""
        if timeout_s is None:
            return self._wait(place, None, what)
        wait_ns = round(timeout_s * NANOSECONDS)
        if wait_ns < 1:  # or time would stand still for who waits for the rest of a float
            wait_ns = 1 if timeout_s > 0 else 0
        return self._wait(place, self._now_ns + wait_ns, what)

    def hand_over(self, thread: ThreadLike, done: EventLike, limit_s: float) -> bool:
        """Start a fiber, and wait for `done`, an event that it sets as the last it does.

        It runs in the place of the caller: at once, and then it is the caller's turn again, so
        that everybody else runs when they would if the caller did the same.
        """
        assert isinstance(thread, SimThread)
        assert isinstance(done, SimEvent)
        thread.start()
        self._first = self._ready.pop()
        thread.caller = self._current
        try:
            return self._wait(done.place, self._now_ns + round(limit_s * NANOSECONDS), "event")
        finally:
            thread.caller = None

    def _wait(self, place: deque[Flow] | None, due_ns: int | None, what: str) -> bool:
        if get_ident() != self._thread:
            self._refuse_thread(what)
        flow = self._current
        if self._closed:
            self._refuse_closed(flow, what)
        flow.what = what
        flow.notified = False
        self._number = number = self._number + 1
        if self._random is not None and due_ns is not None and self._first is None:
            # a lot decides who comes first
            number += self._random.getrandbits(32) << 64
        flow.number = number
        if place is not None:
            place.append(flow)
        try:
            if self._direct and flow is not self._main and self._first is None:
                following = self._next_flow(flow, due_ns)
                if following is not flow:
                    self._current = following
                    following.fiber.switch()
            else:
                if due_ns is not None:
                    heappush(self._timers, (due_ns, number, flow))
                if flow is self._main:
                    self._stalls.watch()
                self._hub.switch()
        finally:
            flow.number = 0
            if place is not None and not flow.notified:
                place.remove(flow)
        return flow.notified

    def _next_flow(self, waiting: Flow, due_ns: int | None) -> Flow:
        """Let the running fiber wait; return who runs now: the hub if there is nobody, it tells."""
        if due_ns is not None:
            heappush(self._timers, (due_ns, waiting.number, waiting))
        if self._ready:
            return self._ready.popleft()
        return self._come_to(heappop(self._timers)) if self._timers else self._hub_flow

    def _come_to(self, timer: tuple[int, int, Flow]) -> Flow:
        """Move time to a deadline, or to the next that somebody still waits for; return who does.

        That is the hub if nobody does.
        """
        due_ns, number, flow = timer
        while flow.number != number:
            if not self._timers:
                return self._hub_flow
            due_ns, number, flow = heappop(self._timers)
        flow.number = 0
        if due_ns > self._now_ns:
            for look in self._looks:
                look()
            self._now_ns = due_ns
        return flow

    def notify(self, place: deque[Flow], n: int = 1) -> None:
        """Make the first `n` that wait in `place` go on; they run when the present one waits."""
        if get_ident() != self._thread:
            self._refuse_thread("waking of who waits")
        while place and n > 0:
            flow = self._take_from(place)
            if flow.number:
                flow.number, flow.notified = 0, True
                self._ready.append(flow)
                n -= 1

    def launch(self, thread: SimThread, run: Callable[[], None]) -> None:
        """Make a fiber that runs when the present one waits."""
        self._check_thread(f"start of {thread.name}")
        flow = Flow(greenlet(run, self._hub), thread.name, thread)
        self._flows[flow] = None
        self._ready.append(flow)

    def ended(self, error: BaseException | None) -> None:
        """Forget the running fiber; an error it died of is raised in the main one."""
        flow = self._current
        self._flows.pop(flow, None)
        caller = None if flow.thread is None else flow.thread.caller
        if caller is not None and caller in self._ready:  # it is the caller's turn again
            self._ready.remove(caller)
            self._first = caller
        if error is not None and not self._ending:
            self._throw_to_main(error)

    @property
    def current(self) -> Flow:
        """The fiber that runs."""
        return self._current

    def _throw_to_main(self, error: BaseException) -> None:
        self._current = self._main
        self._main.fiber.throw(error)

    def _running_fiber(self) -> str | None:
        """Return the name of the fiber that runs now; None if it is the main one for itself."""
        if self._current is not self._main:
            return self._current.name
        turns = current_queue.get()  # handlers and the start of parts run in who asks for them
        return "main" if turns is not None and turns.clock is self else None

    def _progress(self) -> tuple[int, object]:
        turns = current_queue.get()
        return self._number, None if turns is None else turns.current()

    def _take_from(self, place: deque[Flow]) -> Flow:
        """Take the first; with a seed, any."""
        if self._random is None or len(place) == 1:
            return place.popleft()
        index = self._random.randrange(len(place))
        place.rotate(-index)
        taken = place.popleft()
        place.rotate(index)
        return taken

    def _check_thread(self, what: str) -> None:
        if get_ident() != self._thread:
            self._refuse_thread(what)

    @staticmethod
    def _refuse_thread(what: str) -> None:
        raise SimulationError(
            f"{what}: a second thread uses a simulated clock. Start threads with "
            "clock.Thread(...), not with threading.Thread(...)."
        )

    def _refuse_closed(self, flow: Flow, what: str) -> None:
        if flow is self._main:
            raise SimulationError(f"{what}: this simulated clock is closed")
        raise GreenletExit

    def _next_ns(self) -> int | None:
        if self._ready or self._first is not None:
            return self._now_ns
        while self._timers and self._timers[0][2].number != self._timers[0][1]:
            heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _loop(self) -> None:
        """The hub: run who is ready; else move time to the earliest deadline."""
        self._hub_runs = True
        self._choose_way()
        while True:
            due_ns = self._next_ns()
            if due_ns is None:
                self._throw_to_main(SimulationError(self._deadlock()))
                continue
            ready, flow = self._ready, self._first
            self._first = None
            if flow is None:
                if self._rate is not None and not ready and not self._paced(due_ns):
                    continue  # who waited has been interrupted, and others may be due sooner
                flow = self._take_from(ready) if ready else self._come_to(heappop(self._timers))
            self._current = flow
            flow.fiber.switch()

    def _choose_way(self) -> None:
        """Whether fibers go straight to the next one, and not by the hub."""
        usual = self._random is None and self._rate is None
        self._direct = usual and self._hub_runs and not self._closed

    def _paced(self, due_ns: int) -> bool:
        """Wait in real time until a moment has come; False if that was interrupted."""
        assert self._rate is not None
        from_ns, from_s = self._paced_from
        due_s = from_s + (due_ns - from_ns) / NANOSECONDS / self._rate
        try:
            while (left_s := due_s - time.monotonic()) > 0:
                if self._ready:  # the main fiber was interrupted
                    return False
                self._number += 1  # nobody is to blame for this wait
                self._stalls.sleep(min(left_s, 0.2))
        except BaseException as error:  # such as Ctrl-C, which is for the main one
            self._throw_to_main(error)
            return False
        return True

    def _deadlock(self) -> str:
        lines = "\n".join([self._wait_of(self._main), *self.waiting()])
        return f"everybody waits and no deadline will come:\n{indent(lines, '  ')}"

    @staticmethod
    def _wait_of(flow: Flow) -> str:
        frame = flow.fiber.gr_frame
        return "\n  ".join([f"{flow.name}: {flow.what}{at(frame)}", *coroutines(frame)])


def _is_of(flow: Flow, owner: object) -> bool:
    return flow.thread is not None and flow.thread.owner is owner
