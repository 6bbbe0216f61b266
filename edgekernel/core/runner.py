"""The runs of a service: start, ticks at absolute deadlines, stop."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, get_args

from edgekernel.core import message
from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.core.context import Context
from edgekernel.core.errors import ConfigError, describe, unless_unwound
from edgekernel.core.messages import Message
from edgekernel.core.service import RestartPolicy, Service
from edgekernel.core.watchdog import Watchdog

_LEAST_LIMIT_S = 10.0
_LIMIT_INTERVALS = 10
_MOST_TIMELESS_TICKS = 100_000


class Session:
    """What is asked of the thread of a service."""

    def __init__(self, clock: Clock) -> None:
        self.flow: object = None
        self.cancelled = False  # what runs is to stop
        self.again = False  # and a session is to follow
        self.wake = clock.Event()
        self.over = clock.Event()


class Runner:
    """Runs a service, one run after the other, and keeps the figures."""

    def __init__(
        self,
        service: Service,
        context: Context,
        begin: Callable[[], object],
        enter: Callable[[], object],
        leave: Callable[[], object],
        *,
        watchdog: Watchdog,
        lost: Callable[[], object],
        failed: Callable[[BaseException], object],
    ) -> None:
        """Make ready; when a run fails `lost` is called at once, and `failed` is told why, before
        its stop."""
        self._service, self._context, self._clock = service, context, context.clock
        self._begin, self._enter, self._leave = begin, enter, leave
        self._watchdog, self._lost, self._failed = watchdog, lost, failed
        self.failed = False
        """Whether the run, or the latest one, has failed."""
        self.step = ""
        """What it is at: start, tick, stop, or nothing."""
        self.begun_ns: int | None = None
        self.limit_ns: int | None = None
        self.hung = False
        self.running = False
        """Whether handlers and ticks are live."""
        self.ran_s = 0.0
        """How long the last run lasted, from the end of its start; 0 if that failed."""
        self.last_error = self.last_error_at = ""
        self._ticks = self._missed = 0
        self._last_tick_ns: int | None = None
        self._lateness_ns = self._lateness_max_ns = self._tick_ns = self._tick_max_ns = 0

    def run(self, session: Session) -> BaseException | None:
        """Start, tick until cancelled, finished or failed, stop. Return why it failed."""
        service = self._service
        failure: BaseException | None = None
        service.finished = self.failed = False
        service.wake = session.wake.set
        self.ran_s = 0.0
        self._begin_step("start")
        try:
            self._begin()
            self._enter()
            self._end_step()
            self._tick_until_over(session)
        except BaseException as error:
            failure, self.failed = unless_unwound(error), True
            self._end_step()
            self._lost()
            self._report(self.step, error)
            if not session.cancelled:
                self._failed(error)
        self.running = False
        self._begin_step("stop")
        self._stop()
        self._end_step()
        self.step, self.limit_ns = "", None
        self.tell(message.ServiceStopped(service.name))
        return failure

    def busy_s(self) -> float | None:
        """Return how long the present step has taken."""
        begun = self.begun_ns
        return None if begun is None else (self._clock.monotonic_ns() - begun) / NANOSECONDS

    def hangs(self) -> bool:
        """Say whether the present step has reached its limit."""
        begun, limit = self.begun_ns, self.limit_ns
        if begun is None or limit is None:
            return False
        return self._clock.monotonic_ns() - begun >= limit

    def figures(self) -> dict[str, Any]:
        """Return the counts and the times, in seconds."""
        last = self._last_tick_ns
        age_ns = None if last is None else self._clock.monotonic_ns() - last
        return {
            "ticks": self._ticks,
            "missed": self._missed,
            "last_tick_age_s": None if age_ns is None else age_ns / NANOSECONDS,
            "lateness_s": self._lateness_ns / NANOSECONDS,
            "lateness_max_s": self._lateness_max_ns / NANOSECONDS,
            "tick_s": self._tick_ns / NANOSECONDS,
            "tick_max_s": self._tick_max_ns / NANOSECONDS,
            "busy_s": self.busy_s(),
            "last_error": self.last_error,
            "last_error_at": self.last_error_at,
        }

    def tell(self, told: Message) -> None:
        """Say what happened; no handler of that may end the service or delay a halt."""
        if self._service.critical:
            self.post(told)
            return
        try:
            self._context.emit(told)
        except BaseException as error:  # such as KeyboardInterrupt, raised by a handler
            self._context.runtime.turns.failed(told.name, unless_unwound(error))

    def post(self, told: Message) -> None:
        """Say what happened, and do not wait for its handlers."""
        self._context.runtime.post(told, self._context.source)

    def _stop(self) -> None:
        for step in (self._leave, lambda: self._service.stop(self._context)):
            try:
                step()
            except BaseException as error:
                self._report("stop", unless_unwound(error))

    def _begin_step(self, step: str) -> None:
        self.step = step
        self.limit_ns = _limit_ns(self._service, _LEAST_LIMIT_S)
        self.begun_ns = self._clock.monotonic_ns()
        self._watchdog.look()

    def _end_step(self) -> None:
        self.begun_ns = None
        if self.hung:
            self.hung = False
            self._watchdog.look()

    def _tick_until_over(self, session: Session) -> None:
        live_ns = self._clock.monotonic_ns()
        self.running = True
        self.tell(message.ServiceStarted(self._service.name))
        self.step = "tick"
        self.limit_ns = _limit_ns(self._service, math.inf)
        self._watchdog.look()
        try:
            self._tick(session)
        finally:
            self.ran_s = (self._clock.monotonic_ns() - live_ns) / NANOSECONDS

    def _tick(self, session: Session) -> None:
        clock, service, context, wake = self._clock, self._service, self._context, session.wake
        monotonic_ns, wait_until = clock.monotonic_ns, clock.wait_until
        tick, next_deadline_ns, ticked = service.tick, service.next_deadline_ns, self._ticked
        regular = getattr(next_deadline_ns, "__func__", None) is Service.next_deadline_ns
        interval, interval_ns = math.nan, 0
        deadline = monotonic_ns()
        behind, timeless = False, 0
        while not (session.cancelled or service.finished):
            self.begun_ns = begun = monotonic_ns()
            tick(context)
            now = monotonic_ns()
            self.begun_ns = None
            if self.hung:
                self._end_step()
            ticked(deadline, begun, now)
            if now == begun and service.interval == 0:
                timeless += 1
                if timeless == _MOST_TIMELESS_TICKS:  # simulated time would stand still for ever
                    raise ConfigError("interval is 0, and the ticks do not wait on the clock")
            else:
                timeless = 0
            if not regular:
                deadline = next_deadline_ns(deadline, now)
            else:  # the same, without computing it for every tick
                if interval is not service.interval:
                    interval = service.interval
                    interval_ns = int(interval * NANOSECONDS)
                deadline += interval_ns
            if deadline < now:
                deadline, behind = self._skip_missed(deadline, now, behind)
            else:
                behind = False
            while wait_until(wake, deadline):  # who wakes the service may move the deadline
                if session.cancelled or service.finished:
                    return
                wake.clear()
                deadline = service.woken(deadline)

    def _ticked(self, deadline_ns: int, begun_ns: int, ended_ns: int) -> None:
        """Count a tick; the figures stay whole nanoseconds until somebody asks for them."""
        self._ticks += 1
        self._last_tick_ns = ended_ns
        self._lateness_ns = late_ns = begun_ns - deadline_ns
        self._tick_ns = took_ns = ended_ns - begun_ns
        if late_ns > self._lateness_max_ns:
            self._lateness_max_ns = late_ns
        if took_ns > self._tick_max_ns:
            self._tick_max_ns = took_ns

    def _skip_missed(self, deadline: int, now: int, behind: bool) -> tuple[int, bool]:
        """Return the next deadline that is not over, and whether ticks were missed."""
        step = int(self._service.interval * NANOSECONDS)
        if step <= 0:
            return now, False
        missed = -((deadline - now) // step)
        self._missed += missed
        if not behind:  # told once per spell, counted always
            self.tell(message.ServiceOverrun(self._service.name, missed))
        return deadline + missed * step, True

    def _report(self, step: str, error: BaseException) -> None:
        text, trace = describe(error)
        self.last_error = text
        self.last_error_at = self._clock.now_utc().isoformat()
        self.tell(message.ServiceError(self._service.name, step, text, trace))


def check(service: Service) -> None:
    """Raise ConfigError for settings with which a service cannot be run."""
    limit = service.tick_limit_s
    restarts, within_s = service.restart_budget
    checks = {
        "interval": 0 <= service.interval < math.inf,
        "tick_limit_s": limit is None or limit > 0,
        "restart": service.restart in get_args(RestartPolicy),
        "backoff_s": 0 <= service.backoff_s < math.inf,
        "backoff_limit_s": 0 <= service.backoff_limit_s < math.inf,
        "restart_budget": restarts >= 0 and 0 < within_s < math.inf,
    }
    problems = [
        f"{service.name}.{field} is {getattr(service, field)!r}; see `Service.{field}`"
        for field, fine in checks.items()
        if not fine
    ]
    if problems:
        raise ConfigError(*problems)


def _limit_ns(service: Service, at_interval_0_s: float) -> int | None:
    """Return how long a step may take, at interval 0 this long by default; None: no limit."""
    limit_s = service.tick_limit_s
    if limit_s is None and service.interval == 0:
        limit_s = at_interval_0_s
    if limit_s is None:
        limit_s = max(_LEAST_LIMIT_S, _LIMIT_INTERVALS * service.interval)
    return None if limit_s == math.inf else int(limit_s * NANOSECONDS)
