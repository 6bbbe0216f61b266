"""Supervisor: restarts what a component has spawned, by a strategy, or gives it up as a whole.

Which decides, if a child is a service with a restart policy of its own: the policy first. Only
when the service gives up is that a failure of the child, and the supervisor's concern.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

from edgekernel.core import message
from edgekernel.core.backoff import Backoff, Budget
from edgekernel.core.clock import NANOSECONDS, EventLike, ThreadLike
from edgekernel.core.context import Host
from edgekernel.core.errors import (
    ConfigError,
    EscalationError,
    LifecycleError,
    describe,
    unless_unwound,
)
from edgekernel.core.markers import Supervision

Decide = Callable[[str, BaseException, int], object]
"""Says whether a child is restarted, given its name, its error and the number of the attempt."""


class Child(Protocol):
    """What a supervisor restarts."""

    @property
    def name(self) -> str:
        """Its name, unique under its supervisor."""
        ...

    def start(self) -> object:
        """Start it anew; raises if it cannot."""
        ...

    def stop(self) -> object:
        """End it, also after a failed `start`; bounded in time, never raises."""
        ...


class _Member:
    """A child with what the supervisor knows of it."""

    def __init__(self, child: Child, backoff: Backoff, now_ns: int) -> None:
        self.child = child
        self.backoff = backoff
        self.up = True  # or starting
        self.started_ns: int | None = now_ns  # None until `start` has returned
        self.due_ns: int | None = None  # when it starts, if it is down


class Supervisor:
    """Restarts children that fail: with backoff, within a budget, together as the strategy says.

    `one-for-one` restarts the child that failed, `one-for-all` all of them, `rest-for-one` it
    and those added after it. They are stopped at once, in reverse, the failed one too, and after
    the delay started in order. What fails while it waits for its restart counts once; a `start`
    that raises is the next failure. All this happens on a thread of its own, made when something
    has failed; every method may be called from any thread, those of children included.
    """

    def __init__(
        self,
        runtime: Host,
        name: str,
        how: Supervision,
        *,
        escalate: Callable[[EscalationError], object],
        decide: Decide | None = None,
    ) -> None:
        """Make a supervisor without children.

        When the budget is used up, all children are stopped and forgotten, and `escalate` is
        called; afterwards it can be used again, with a new budget. A child that `decide` gives
        up (False) is stopped and forgotten, without the others.
        """
        self.name = name
        self._runtime, self._clock = runtime, runtime.clock
        self._how, self._escalate, self._decide = how, escalate, decide
        self._lock = threading.Lock()  # around the fields; never while user code runs
        self._members: dict[str, _Member] = {}
        self._failures: dict[str, BaseException] = {}
        self._budget = Budget(how.max_restarts, how.within_s)
        self._wake: EventLike = self._clock.Event()
        self._thread: ThreadLike | None = None
        self._flow: object = None
        self._idle: EventLike = self._clock.Event()
        self._idle.set()
        self._closed = False

    def add(self, child: Child) -> None:
        """Take in a child that runs. Raises ConfigError for a second one of its name."""
        seed = f"{self._runtime.name}/{self.name}/{child.name}"
        backoff = Backoff(seed, self._how.backoff_s, self._how.backoff_limit_s)
        with self._lock:
            if self._closed:
                raise LifecycleError(f"{self.name}: the supervisor is closed; {child.name} ends")
            if child.name in self._members:
                raise ConfigError(f"{self.name}: two children of the name {child.name}")
            member = _Member(child, backoff, self._clock.monotonic_ns())
            self._members[child.name] = member

    def remove(self, name: str) -> None:
        """Forget a child: it is not restarted. One that is just being started is stopped."""
        with self._lock:
            self._members.pop(name, None)
            self._failures.pop(name, None)
        self._wake.set()

    def names(self) -> list[str]:
        """Return the names of the children, in the order of adding."""
        with self._lock:
            return list(self._members)

    def failed(self, name: str, error: BaseException) -> bool:
        """Say that a child has failed, and return at once.

        False, and nothing happens, if it is no child, or is down already.
        """
        with self._lock:
            member = self._members.get(name)
            if self._closed or member is None or not member.up:
                return False
            self._failures.setdefault(name, error)
            if self._thread is not None:
                self._wake.set()
                return True
            within = self._runtime.turns.within
            self._thread = thread = self._clock.Thread(
                lambda: within(self._work), f"sup:{self.name}"
            )
            self._idle.clear()
        try:
            thread.start()
        except BaseException:  # such as no more threads
            self._rest()
            raise
        return True

    def close(self) -> None:
        """Restart nothing from now on; a delay ends at once. The children are left as they are,
        but for one that is just being started: it is stopped."""
        with self._lock:
            self._closed = True
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Wait until it has nothing to do; False if it still had after `timeout_s` seconds.

        Called from a child's start or stop, or from `escalate`, it does not wait.
        """
        if self._flow == self._clock.flow():
            return False
        return self._idle.wait(timeout_s)

    def _rest(self) -> None:
        self._flow = self._thread = None
        self._idle.set()

    def _work(self) -> None:
        self._flow = self._clock.flow()
        while True:
            self._wake.clear()
            with self._lock:
                failures, self._failures = self._failures, {}
                dues = [m.due_ns for m in self._members.values() if m.due_ns is not None]
                if self._closed or not (failures or dues):
                    self._rest()
                    return
            now = self._clock.monotonic_ns()
            if failures:
                self._recover(failures)
            elif min(dues) <= now:
                self._start_due(now)
            else:
                self._wake.wait((min(dues) - now) / NANOSECONDS)

    def _recover(self, failures: dict[str, BaseException]) -> None:
        """Stop what is to be restarted because of these failures, and say when it starts."""
        pending_ns = self._pending_ns()
        delays: dict[str, float] = {}
        for name, error in failures.items():
            delay_s = self._attempt(name, error)
            if delay_s is not None:
                delays[name] = delay_s
        if not delays:
            return
        alone = self._how.strategy == "one-for-one"
        merged = pending_ns is not None and not alone
        restarts = list(delays) if alone else [] if merged else list(delays)[:1]
        for name in restarts:
            if not self._budget.take(self._clock.monotonic_ns()):
                self._give_up(name, failures[name])
                return
        self._stop(self._affected(set(delays)))
        now = self._clock.monotonic_ns()
        dues = {name: now + int(delay_s * NANOSECONDS) for name, delay_s in delays.items()}
        together = pending_ns if merged else max(dues.values())
        with self._lock:
            for name, member in self._members.items():
                if not member.up and (not alone or name in dues):
                    member.due_ns = dues[name] if alone else together

    def _pending_ns(self) -> int | None:
        """Return when those that wait for their restart will start, if any do."""
        now = self._clock.monotonic_ns()
        with self._lock:
            dues = [m.due_ns for m in self._members.values() if m.due_ns is not None]
        return max((due for due in dues if due > now), default=None)

    def _attempt(self, name: str, error: BaseException) -> float | None:
        """Return the delay before a child is restarted; None if it is given up or gone."""
        with self._lock:
            member = self._members.get(name)
        if member is None:
            return None
        if member.started_ns is not None:
            ran_ns = self._clock.monotonic_ns() - member.started_ns
            member.backoff.ran(ran_ns / NANOSECONDS)
        delay_s = member.backoff.failed()
        if self._is_restarted(name, error, member.backoff.failures):
            return delay_s
        self._stop([member])
        with self._lock:
            if self._members.get(name) is member:
                del self._members[name]
        return None

    def _is_restarted(self, name: str, error: BaseException, attempt: int) -> bool:
        if self._decide is None:
            return True
        try:
            return bool(self._decide(name, error, attempt))
        except BaseException as mistake:  # it cannot say: then the strategy does
            what = f"supervision of {name} by {self.name}"
            self._runtime.turns.failed(what, unless_unwound(mistake))
            return True

    def _affected(self, failed: set[str]) -> list[_Member]:
        with self._lock:
            names = list(self._members)
            if self._how.strategy == "one-for-all":
                chosen = names
            elif self._how.strategy == "rest-for-one":
                firsts = [names.index(name) for name in failed if name in names]
                chosen = names[min(firsts) :] if firsts else []
            else:
                chosen = [name for name in names if name in failed]
            return [self._members[name] for name in chosen]

    def _stop(self, members: list[_Member]) -> None:
        """Stop those that are up, in reverse; what fails in them from now on is no failure."""
        with self._lock:
            down = [member for member in reversed(members) if member.up]
            for member in down:
                member.up = False
                self._failures.pop(member.child.name, None)
        for member in down:
            self._safely(f"stop of {member.child.name}", member.child.stop)

    def _start_due(self, now: int) -> None:
        """Start those that are due, in order; those that depend on one that fails wait for it."""
        with self._lock:
            due = [m for m in self._members.values() if m.due_ns is not None and m.due_ns <= now]
        for member in due:
            with self._lock:
                if self._closed or (self._failures and self._how.strategy != "one-for-one"):
                    return  # the others wait, with those that fail now
                if self._members.get(member.child.name) is not member:
                    continue  # removed
                member.up, member.due_ns, member.started_ns = True, None, None
            self._start(member)
            with self._lock:
                wanted = not self._closed and self._members.get(member.child.name) is member
            if not wanted:
                self._stop([member])

    def _start(self, member: _Member) -> None:
        try:
            member.child.start()
        except BaseException as error:
            unless_unwound(error)
            with self._lock:
                if self._members.get(member.child.name) is member:
                    self._failures.setdefault(member.child.name, error)
        else:
            member.started_ns = self._clock.monotonic_ns()

    def _give_up(self, name: str, error: BaseException) -> None:
        """Stop all children, forget them, and pass the failure on."""
        with self._lock:
            members = list(self._members.values())
        self._stop(members)
        with self._lock:
            self._members, self._failures = {}, {}
            self._budget = Budget(self._how.max_restarts, self._how.within_s)
            if self._closed:
                return
        text = describe(error)[0]
        self._runtime.post(message.SupervisorEscalated(self.name, name, text), self.name)
        how = f"{self._how.max_restarts} restarts in {self._how.within_s:g} s"
        escalated = EscalationError(f"{self.name}: {name} failed beyond {how}: {text}", name)
        escalated.__cause__ = error
        self._safely(f"escalation of {self.name}", partial(self._escalate, escalated))

    def _safely(self, what: str, call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:  # it must not end the supervision of the others
            self._runtime.turns.failed(what, unless_unwound(error))
