"""Degraded: the runtime goes on without some parts, says so, and tries them again (promise P5)."""

from __future__ import annotations

import threading
from functools import partial

from edgekernel.core import message
from edgekernel.core.assembly import Assembly
from edgekernel.core.backoff import Backoff
from edgekernel.core.clock import NANOSECONDS, EventLike
from edgekernel.core.context import Host
from edgekernel.core.effect import Effect
from edgekernel.core.errors import ConfigError, LifecycleError, describe
from edgekernel.core.gate import Gate
from edgekernel.core.order import dependency_order
from edgekernel.core.parts import Parts
from edgekernel.core.phase import Phase
from edgekernel.core.unit import Unit, UnitState

RETRY_S = 1.0
"""Seconds before an optional part that did not start is tried again; doubled each time."""
RETRY_LIMIT_S = 60.0
_GROWING = int(RETRY_LIMIT_S / RETRY_S).bit_length()
"""After so many failures the delay is at its limit."""


class Caretaker:
    """Looks after the parts that should be active and are not.

    One that fails is tried again, one that lacks something starts when it is there: after the
    change that has brought it, or when it arrives in the registry by hand or by its properties.
    """

    def __init__(self, runtime: Host, parts: Parts, assembly: Assembly, gate: Gate) -> None:
        self._runtime = runtime
        self._parts = parts
        self._assembly = assembly
        self._gate = gate
        self._care: EventLike = runtime.clock.Event()
        self._lock = threading.Lock()  # around `_at_work`
        self._at_work = False
        self._arrivals: Effect | None = None
        self._ready: frozenset[Unit] = frozenset()
        """Those that wait and lack nothing any more, when that was last looked at."""
        self._told: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the parts that should be active and are not."""
        return tuple(unit.name for unit in self.missing_units)

    @property
    def missing_units(self) -> tuple[Unit, ...]:
        """The parts that should be active and are not; one that is just tried again is not yet."""
        wrong = self._parts.in_state(UnitState.WAITING, UnitState.FAILED, UnitState.STARTING)
        return tuple(unit for unit in wrong if unit.state is not UnitState.STARTING or unit.error)

    def try_to_start(self, unit: Unit) -> Exception | None:
        """Start a unit; return what kept it from starting. What can come later, is cared for."""
        if unit.state is UnitState.ACTIVE:
            return None
        missing = unit.unmet()
        if missing:
            return self._let_wait(unit, missing)
        if self._runtime.phase.booted:
            self._gate.begin(f"start of {unit.name}")
        try:
            self._assembly.start(unit)
        except Exception as error:
            what = "attaching device" if unit.is_device else "starting"
            error.add_note(f"while {what} {unit.name!r}")
            phase = self._runtime.phase
            if phase.ending:
                self._assembly.undo(unit)
            elif unit.optional or phase is not Phase.BOOTING:
                self.retry_later(unit, error)
            return error
        unit.attempts = 0
        unit.failures.over()
        self._assembly.set_ticking(unit)
        return None

    def _let_wait(self, unit: Unit, missing: list[str]) -> LifecycleError:
        text = f"{unit.name}: not started: nobody provides {', '.join(missing)}"
        if unit.state is not UnitState.WAITING:
            self._runtime.emit(message.ComponentWaiting(unit.name, tuple(missing)))
        unit.state, unit.error = UnitState.WAITING, text
        return LifecycleError(text)

    def retry_later(self, unit: Unit, error: BaseException) -> None:
        """Take down what of a unit stands, and try it again after a while.

        How long is doubled with each failure, until it has run for longer than the longest while.
        What fails again and again in the same way is told of after pauses that grow to an hour.
        """
        now_ns = self._runtime.clock.monotonic_ns()
        had_run = unit.started_ns is not None
        backoff = unit.backoff
        if backoff is None:
            seed = f"{self._runtime.name}/{unit.name}"
            unit.backoff = backoff = Backoff(seed, RETRY_S, RETRY_LIMIT_S)
        if unit.started_ns is not None:
            backoff.ran((now_ns - unit.started_ns) / NANOSECONDS)
        self._assembly.undo(unit)
        unit.started_ns = None
        delay_s = backoff.failed()
        unit.state, unit.attempts = UnitState.FAILED, backoff.failures
        unit.error, trace = describe(error)
        unit.retry_ns = self._runtime.clock.monotonic_ns() + int(delay_s * NANOSECONDS)
        news = unit.failures.news(unit.error, now_ns)
        if news or had_run or unit.attempts <= _GROWING:
            self._runtime.emit(message.ComponentFailed(unit.name, unit.error, trace))
            self._runtime.emit(message.PartRetry(unit.name, unit.attempts, delay_s))
        self._wake()

    def _wake(self) -> None:
        """See what is due now, on the thread for that."""
        self.look_again()
        with self._lock:
            first, self._at_work = not self._at_work, True
        if first:
            name = f"{self._runtime.name}:caretaker"
            try:
                self._runtime.clock.Thread(self._take_care, name).start()
            except BaseException:  # such as no more threads: the next one who asks tries again
                self._at_work = False
                raise

    def look_again(self) -> None:
        """See what is due now, and whether there is still a runtime to care for."""
        self._care.set()

    def settle(self) -> None:
        """Start those that were waiting for what is there now; inside the gate."""
        order: list[Unit] = []
        if self._parts.in_state(UnitState.WAITING):
            order, _ = dependency_order(list(self._parts.units.values()))
        for unit in order:
            ready = unit.state is UnitState.WAITING and _lacks_nothing(unit)
            if ready and not self._runtime.phase.ending:
                self.try_to_start(unit)
        if self._runtime.phase.booted:
            self.watch_arrivals()
            self.tell()

    def watch_arrivals(self) -> None:
        """See to it that what those lack who wait now does not arrive unseen; inside the gate."""
        if self._arrivals is not None:
            self._arrivals.dispose()
            self._arrivals = None
        waiting = self._parts.in_state(UnitState.WAITING)
        if not waiting:
            self._ready = frozenset()
            return

        def look() -> None:
            before = self._ready
            self._ready = frozenset(unit for unit in waiting if _lacks_nothing(unit))
            if not (self._ready <= before or self._runtime.phase.ending):
                self._wake()

        self._arrivals = self._runtime.turns.within(partial(Effect, look, name="arrivals"))

    def tell(self) -> None:
        """Say so when the list of parts that are not active has changed."""
        before, self._told = self._told, self.missing
        if self._told == before or self._runtime.phase.ending:
            return
        told = message.RuntimeDegraded(self._told)
        self._runtime.emit(told if self._told else message.RuntimeRecovered())

    def _take_care(self) -> None:
        try:
            self._take_care_until_the_end()
        finally:
            self._at_work = False

    def _take_care_until_the_end(self) -> None:
        while not self._runtime.phase.ending:
            self._care.wait(self._wait_s())
            self._care.clear()
            with self._gate.passing() as alone:  # not before the end of the boot
                if not alone:
                    return
                for unit in self._due():
                    self.try_to_start(unit)
                self.settle()

    def _wait_s(self) -> float | None:
        """Return the seconds until the next part is due, or None."""
        due = [u.retry_ns for u in self._parts.in_state(UnitState.FAILED) if u.retry_ns is not None]
        if not due:
            return None
        return max(0.0, (min(due) - self._runtime.clock.monotonic_ns()) / NANOSECONDS)

    def _due(self) -> list[Unit]:
        now_ns = self._runtime.clock.monotonic_ns()
        failed = self._parts.in_state(UnitState.FAILED)
        return [unit for unit in failed if unit.retry_ns is not None and unit.retry_ns <= now_ns]


def _lacks_nothing(unit: Unit) -> bool:
    try:
        return not unit.unmet()
    except ConfigError:  # it requires a name that two contract classes have: none is chosen
        return False
