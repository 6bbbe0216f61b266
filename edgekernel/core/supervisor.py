"""Supervision: each service on its thread, ticked on time and restarted with patience."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

from edgekernel.core import message
from edgekernel.core.clock import NANOSECONDS, EventLike, ThreadLike
from edgekernel.core.context import Context
from edgekernel.core.errors import describe
from edgekernel.core.service import Service
from edgekernel.core.turns import current_component

Failure = Exception | SystemExit
"""What ends a run of a service: a thread that exits without a word would be a silent failure."""


class Supervised:
    """One service with its thread, from the first start to the last stop."""

    def __init__(
        self,
        service: Service,
        context: Context,
        *,
        begin: Callable[[], object],
        enter: Callable[[], object],
        leave: Callable[[], object],
        halt: Callable[[str], object],
    ) -> None:
        """Supervise `service`.

        `begin` calls its `start`; `enter` and `leave` make its handlers and effects live and take
        them down, around each run; `halt` is called with the cause when a critical service fails.
        """
        self.service = service
        self._context = context
        self._begin, self._enter, self._leave, self._halt = begin, enter, leave, halt
        self._cancelled = False
        self._wake: EventLike = context.clock.Event()
        self._thread: ThreadLike | None = None
        self._flow: object = None
        self._restarts: deque[int] = deque()
        # The same in every run of a simulation, and another for every node of a fleet.
        self._jitter = random.Random(f"{context.runtime.name}/{service.name}")
        self.ticks = self.missed = self.attempts = 0
        self.last_tick_ns: int | None = None
        self.lateness_s = 0.0
        self.last_error = ""
        self.running = False

    def start(self) -> None:
        """Start the thread."""
        clock = self._context.clock
        within = self._context.runtime.turns.within
        self._wake = clock.Event()
        self._cancelled = False
        self.service.wake = self._wake.set
        self._thread = clock.Thread(lambda: within(self._supervise), f"svc:{self.service.name}")
        self._thread.start()

    def cancel(self) -> None:
        """Ask it to stop: a sleep between ticks ends at once, a tick that runs goes on."""
        self._cancelled = True
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread to end; False if it did not within the time."""
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def is_here(self) -> bool:
        """Say whether the caller runs on this service's thread."""
        return self._flow is not None and self._flow == self._context.clock.flow()

    def status(self) -> dict[str, Any]:
        """Return what an operator wants to know; times in seconds."""
        now = self._context.clock.monotonic_ns()
        last = self.last_tick_ns
        return {
            "running": self.running,
            "critical": self.service.critical,
            "ticks": self.ticks,
            "missed": self.missed,
            "restarts": self.attempts,
            "last_tick_age_s": None if last is None else (now - last) / NANOSECONDS,
            "lateness_s": self.lateness_s,
            "last_error": self.last_error,
        }

    def _supervise(self) -> None:
        self._flow = self._context.clock.flow()
        current_component.set(self.service.name)
        try:
            self._run_and_restart()
        finally:
            self._flow = None

    def _run_and_restart(self) -> None:
        while not self._cancelled:
            error = self._run_once()
            delay_s = self._after(error)
            if delay_s is None:
                return
            self._sleep_until(self._context.clock.monotonic_ns() + int(delay_s * NANOSECONDS))

    def _run_once(self) -> Failure | None:
        """Start, tick until cancelled or failed, stop. Return why it failed, if it did."""
        service, ctx = self.service, self._context
        failure: Failure | None = None
        step = "start"
        try:
            self._begin()
            self._enter()
            self.running = True
            ctx.emit(message.ServiceStarted(service.name))
            step = "tick"
            self._tick()
        except (Exception, SystemExit) as error:
            failure = error
            self._report(step, error)
        self.running = False
        self._leave()
        try:
            service.stop(ctx)
        except (Exception, SystemExit) as error:
            self._report("stop", error)
        ctx.emit(message.ServiceStopped(service.name))
        return failure

    def _tick(self) -> None:
        clock, service = self._context.clock, self.service
        deadline = clock.monotonic_ns()
        behind = False
        while not self._cancelled:
            begin = clock.monotonic_ns()
            self.lateness_s = (begin - deadline) / NANOSECONDS
            service.tick(self._context)
            self.ticks += 1
            now = self.last_tick_ns = clock.monotonic_ns()
            deadline = service.next_deadline_ns(deadline, now)
            deadline, behind = self._skip_missed(deadline, now, behind)
            deadline = self._sleep_until(deadline, service.woken)

    def _sleep_until(
        self, deadline: int, woken: Callable[[int], int] = lambda deadline: deadline
    ) -> int:
        """Sleep until the deadline or until cancelled; who wakes the service may move it."""
        clock = self._context.clock
        while not self._cancelled and (now := clock.monotonic_ns()) < deadline:
            if self._wake.wait((deadline - now) / NANOSECONDS) and not self._cancelled:
                self._wake.clear()
                deadline = woken(deadline)
        return deadline

    def _skip_missed(self, deadline: int, now: int, behind: bool) -> tuple[int, bool]:
        """Return the next deadline that is not over, and whether ticks were missed."""
        step = int(self.service.interval * NANOSECONDS)
        if deadline >= now or step == 0:
            return max(deadline, now), False
        missed = -((deadline - now) // step)
        self.missed += missed
        if not behind:  # told once per spell, counted always
            self._context.emit(message.ServiceOverrun(self.service.name, missed))
        return deadline + missed * step, True

    def _after(self, error: Failure | None) -> float | None:
        """Decide what comes after a run: the delay in seconds, or None for the end."""
        service, ctx = self.service, self._context
        if self._cancelled:
            return None
        if error is not None and service.critical:
            self._give_up(error)
            return None
        if service.restart == "no" or (service.restart == "on-failure" and error is None):
            return None
        if not self._within_budget():
            self._give_up(error)
            return None
        self.attempts += 1
        doubled = service.backoff_s * 2.0 ** (len(self._restarts) - 1)
        delay_s = min(doubled, service.backoff_limit_s) * self._jitter.uniform(0.8, 1.2)
        ctx.emit(message.ServiceRestart(service.name, self.attempts, delay_s))
        return delay_s

    def _give_up(self, error: Failure | None) -> None:
        text = describe(error)[0] if error else "it keeps ending"
        self._context.emit(message.ServiceFailure(self.service.name, text))
        if self.service.critical:
            self._halt(f"critical service {self.service.name} failed: {text}")

    def _within_budget(self) -> bool:
        restarts, seconds = self.service.restart_budget
        now = self._context.clock.monotonic_ns()
        while self._restarts and now - self._restarts[0] > seconds * NANOSECONDS:
            self._restarts.popleft()
        if len(self._restarts) >= restarts:
            return False
        self._restarts.append(now)
        return True

    def _report(self, step: str, error: Failure) -> None:
        self.last_error, trace = describe(error)
        told = message.ServiceError(self.service.name, step, self.last_error, trace)
        self._context.emit(told)
