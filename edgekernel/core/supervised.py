"""Supervised: one service with its thread, restarted with patience and controlled from outside.

A *session* lasts from a start to the stop, failure or end that answers it, on one thread; within
it, the *runs* of the service (see `runner`) follow one another by its restart policy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from edgekernel.core import control, message
from edgekernel.core.backoff import Backoff, Budget
from edgekernel.core.clock import NANOSECONDS, ThreadLike
from edgekernel.core.context import Context
from edgekernel.core.control import Holder
from edgekernel.core.errors import EscalationError, describe
from edgekernel.core.runner import Runner, Session, check
from edgekernel.core.service import Service
from edgekernel.core.turns import current_component
from edgekernel.core.watchdog import Watchdog

_STATES = {"": "waiting", "start": "starting", "tick": "running", "stop": "stopping"}


class Supervised:
    """A service under supervision: its sessions, what came of them, and the control of them.

    Everything here may be called from any thread, the service's own and handlers included.
    """

    def __init__(
        self,
        service: Service,
        context: Context,
        *,
        begin: Callable[[], object],
        enter: Callable[[], object],
        leave: Callable[[], object],
        watchdog: Watchdog,
        gave_up: Callable[[BaseException], object] | None = None,
        lost: Callable[[], object] = lambda: None,
        holder: Holder | None = None,
    ) -> None:
        """Supervise `service`, which is not started yet.

        `begin` calls its `start`; `enter` and `leave` make its handlers and effects live and take
        them down, around each run. `gave_up` is called with the error when the service is not
        critical, has failed and is not restarted by its own policy. `lost` is called when a run has
        failed or hangs, or somebody has stopped it, and `holder` is who sets what it sets. Raises
        ConfigError for settings that mean nothing.
        """
        check(service)
        self.service = service
        self._runtime, self._clock = context.runtime, context.clock
        self._watchdog, self._gave_up, self._lost = watchdog, gave_up, lost
        self._holder = holder
        self._leave = leave
        self._runner = Runner(
            service, context, begin, enter, self._leave_run,
            watchdog=watchdog, lost=lost, failed=self._failed,
        )  # fmt: skip
        watchdog.watch(self)
        self._lock = threading.Lock()  # around what others ask; never while user code runs
        self._session: Session | None = None
        self._closed = False
        self._outcome = "stopped"
        self._given_up: BaseException | None = None
        self._restarts = 0
        self._restart_due_ns: int | None = None
        self._backoff, self._budget = self._patience()

    def start(self) -> bool:
        """Start it; its restarts are counted from now on.

        A service that runs goes on, one that waits for its restart starts now, one that is
        stopping starts anew afterwards. False if it must not: it is disabled or the runtime ends.
        """
        with self._lock:
            if self._closed or not self.service.enabled:
                return False
            session = self._session
            if session is not None:
                session.again = session.cancelled
                if self._restart_due_ns is not None:
                    self._restart_due_ns = self._clock.monotonic_ns()
                session.wake.set()
                return True
            self._session = session = Session(self._clock)
        try:
            self._thread(session).start()
        except BaseException:  # such as no more threads: it has not started
            with self._lock:
                self._session = None
            raise
        return True

    def stop(self, timeout_s: float) -> bool:
        """Ask it to stop and wait for that, at most `timeout_s` seconds; return whether it has.

        A sleep ends at once, a tick that runs goes on to its end. The service itself and
        handlers, for which it may have to wait, do not wait: for them it asks, and returns.
        """
        return self._wait(self._cancel(), timeout_s)

    def restart(self, timeout_s: float) -> bool:
        """Stop as `stop` does, and start anew when it has stopped, also later than `timeout_s`.

        False if it has yet to stop, or if it must not start.
        """
        with self._lock:
            allowed = not self._closed and self.service.enabled
        if not allowed:
            return False
        session = self._cancel(again=True)
        return self.start() if session is None else self._wait(session, timeout_s)

    def cancel(self) -> None:
        """Ask it to stop, and do not wait for that."""
        self._cancel()

    def close(self) -> None:
        """Ask it to stop, and never start it again."""
        with self._lock:
            self._closed = True
        self._cancel()

    def dismiss(self) -> None:
        """Let it go for good: it is not started, and not watched any more."""
        self.close()
        self._watchdog.forget(self)

    def is_here(self) -> bool:
        """Say whether the caller runs on this service's thread."""
        session = self._session
        return session is not None and session.flow == self._clock.flow()

    def join(self, timeout_s: float) -> bool:
        """Wait for it to stop; False if it did not within `timeout_s` seconds."""
        return self._wait(self._session, timeout_s)

    @property
    def running(self) -> bool:
        """Whether its handlers and ticks are live."""
        return self._runner.running

    @property
    def has_failed(self) -> bool:
        """Whether its run, or its latest one, has failed."""
        return self._runner.failed

    @property
    def state(self) -> str:
        """One of running, starting, stopping, hung, waiting (for its restart), stopped, disabled,
        failed, ended (by `finish`)."""
        if self._session is None:
            return self._outcome if self.service.enabled else "disabled"
        return "hung" if self._runner.hangs() else _STATES[self._runner.step]

    def status(self) -> dict[str, Any]:
        """Return what an operator wants to know; times in seconds, ready for JSON."""
        service, due = self.service, self._restart_due_ns
        left_ns = None if due is None else max(0, due - self._clock.monotonic_ns())
        return {
            "state": self.state,
            "running": self.running,
            "enabled": service.enabled,
            "critical": service.critical,
            "interval_s": service.interval,
            "restart": service.restart,
            "restarts": self._restarts,
            "restart_in_s": None if left_ns is None else left_ns / NANOSECONDS,
            **self._runner.figures(),
        }

    @property
    def begun_ns(self) -> int | None:
        """When its present step began; for the watchdog, as is all that follows."""
        return self._runner.begun_ns

    @property
    def limit_ns(self) -> int | None:
        """How long its present step may take."""
        return self._runner.limit_ns

    def mark_hung(self, hung: bool) -> None:
        """Let the watchdog be called when the present step ends."""
        self._runner.hung = hung

    def hangs(self, seconds: float) -> None:
        """Tell that a step has hung for `seconds`; a critical service halts the runtime."""
        name = self.service.name
        self._runner.post(message.ServiceHung(name, seconds))
        if self.service.critical and self._is_wanted():
            text = f"its {self._runner.step} takes {seconds:g} s"
            self._runner.post(message.ServiceFailure(name, text))
            self._runtime.shutdown(f"critical service {name} hangs: {text}")
        elif self._runner.step != "stop":
            self._runtime.outputs.beside(self._lost)

    def recovered(self, seconds: float) -> None:
        """Tell that the step that hung has ended after `seconds`."""
        self._runner.post(message.ServiceRecovered(self.service.name, seconds))

    def problem(self) -> str:
        """Say why a critical service makes no progress; "" if it does, or need not."""
        name, state, runner = self.service.name, self.state, self._runner
        if not self.service.critical:
            return ""
        if state == "failed":
            return f"critical service {name} failed: {runner.last_error}"
        if state == "hung" and (self._closed or self._is_wanted()):
            took_s = runner.busy_s() or 0.0
            return f"critical service {name} hangs: its {runner.step} takes {took_s:g} s"
        return ""

    def _is_wanted(self) -> bool:
        """Say whether it is to run: what hangs when it was asked to stop is no halt."""
        session = self._session
        return session is not None and (session.again or not session.cancelled)

    def _patience(self) -> tuple[Backoff, Budget]:
        service = self.service
        seed = f"{self._runtime.name}/{service.name}"
        backoff = Backoff(seed, service.backoff_s, service.backoff_limit_s)
        return backoff, Budget(*service.restart_budget)

    def _thread(self, session: Session) -> ThreadLike:
        within = self._runtime.turns.within
        return self._clock.Thread(
            lambda: within(self._supervise, session), f"svc:{self.service.name}"
        )

    def _cancel(self, again: bool = False) -> Session | None:
        with self._lock:
            session = self._session
            if session is not None:
                session.cancelled, session.again = True, again
                session.wake.set()
        return session

    def _wait(self, session: Session | None, timeout_s: float) -> bool:
        if session is None:
            return True
        if session.flow == self._clock.flow() or self._runtime.turns.inside():
            return session.over.is_set()
        return session.over.wait(timeout_s)

    def _supervise(self, session: Session) -> None:
        current_component.set(self.service.name)
        control.current.set(self._holder)
        following: Session | None = session
        while following is not None:
            session = following
            session.flow = self._clock.flow()
            self._run(session)
            following = self._end(session)
            if following is None and (session.cancelled or self._outcome == "failed"):
                self._lost()
            session.over.set()
        error, self._given_up = self._given_up, None
        if error is not None and self._gave_up is not None and not self.service.critical:
            self._gave_up(error)

    def _leave_run(self) -> None:
        """Let nothing of the service be called any more, and before its stop, which may hang, let
        go of what it has set, unless it has ended by itself or starts anew."""
        try:
            self._leave()
        finally:
            session = self._session
            stopped = session is not None and session.cancelled and not session.again
            if stopped or self._runner.failed:
                self._lost()

    def _end(self, session: Session) -> Session | None:
        """Let the session be over; return the one that follows, if one was asked for."""
        with self._lock:
            again = session.again and self.service.enabled and not self._closed
            self._session = Session(self._clock) if again else None
            return self._session

    def _run(self, session: Session) -> None:
        """Run the service, and run it again, until nothing is to follow."""
        self._backoff, self._budget = self._patience()
        self._outcome, self._given_up = "stopped", None
        while not session.cancelled:
            error = self._runner.run(session)
            if session.cancelled or self._outcome == "failed":
                break
            delay_s = self._delay(error)
            if delay_s is None:
                break
            self._wait_for_restart(session, delay_s)

    def _failed(self, error: BaseException) -> None:
        if self.service.critical:  # before its stop, which may hang
            self._give_up(error)

    def _delay(self, error: BaseException | None) -> float | None:
        """Decide what comes after a run: the delay in seconds, or None for the end."""
        service = self.service
        if error is None and service.restart != "always":
            self._outcome = "ended"
            return None
        if service.restart == "no" or not self._budget.take(self._clock.monotonic_ns()):
            self._give_up(error or EscalationError("it keeps ending, by itself", service.name))
            return None
        self._backoff.ran(self._runner.ran_s)
        delay_s = self._backoff.failed()
        self._restarts += 1
        self._runner.tell(message.ServiceRestart(service.name, self._restarts, delay_s))
        return delay_s

    def _wait_for_restart(self, session: Session, delay_s: float) -> None:
        clock = self._clock
        with self._lock:
            self._restart_due_ns = clock.monotonic_ns() + int(delay_s * NANOSECONDS)
        while not session.cancelled and (left := self._restart_due_ns - clock.monotonic_ns()) > 0:
            session.wake.wait(left / NANOSECONDS)
            session.wake.clear()
        with self._lock:
            self._restart_due_ns = None

    def _give_up(self, error: BaseException) -> None:
        text = describe(error)[0]
        self._outcome, self._given_up = "failed", error
        self._runner.tell(message.ServiceFailure(self.service.name, text))
        if self.service.critical:
            self._runtime.shutdown(f"critical service {self.service.name} failed: {text}")
