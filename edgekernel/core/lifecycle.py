"""Lifecycle: boot in the order of the dependencies, honestly; drain; the end (promises P5, P6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from edgekernel.core import message
from edgekernel.core.assembly import Assembly
from edgekernel.core.children import Children
from edgekernel.core.clock import EventLike, could_start
from edgekernel.core.context import Host
from edgekernel.core.degraded import Caretaker
from edgekernel.core.device import Device
from edgekernel.core.errors import BootError, LifecycleError
from edgekernel.core.gate import Gate
from edgekernel.core.order import dependency_order
from edgekernel.core.parts import Parts
from edgekernel.core.phase import Phase
from edgekernel.core.services import Services
from edgekernel.core.stopping import SAFE_LIMIT_S
from edgekernel.core.turns import current_queue
from edgekernel.core.unit import Unit, UnitState
from edgekernel.core.version import VERSION


class Lifecycle:
    """Takes a runtime through its phases: the parts started in order, and stopped in reverse."""

    def __init__(self, runtime: Host, shutdown_limit_s: float) -> None:
        self._runtime = runtime
        self._limit_s = shutdown_limit_s
        self._lock = runtime.clock.Lock()
        self.phase = Phase.CREATED
        self.parts = Parts(runtime)
        self.services = Services(runtime, lambda: self.phase is Phase.RUNNING, self.parts.all)
        self.gate = Gate(runtime.clock, self.services.watchdog.look, self._tell_of_hanging)
        self.services.watchdog.watch(self.gate)
        runtime.turns.watchdog = self.services.watchdog
        self.assembly = Assembly(runtime, self.parts, self.gate, shutdown_limit_s)
        self.caretaker = Caretaker(runtime, self.parts, self.assembly, self.gate)
        self.children = Children(runtime, self.parts, self.assembly, self.caretaker, self.gate)
        self.assembly.when_struck = self.children.forget
        self.stopped: EventLike = runtime.clock.Event()
        self._booted: EventLike = runtime.clock.Event()  # or the boot has failed
        self._on_stopped: list[Callable[[], object]] = []

    def _tell_of_hanging(self, change: str, seconds: float, over: bool) -> None:
        what = message.ChangeRecovered if over else message.ChangeHung
        self._runtime.post(what(change, seconds))

    # Boot

    def boot(self) -> None:
        """Start everything, or nothing."""
        with self._lock:
            phase = self.phase
            if phase is Phase.CREATED:
                self.phase = Phase.BOOTING
        if phase is Phase.BOOTING and not self.called_by_a_part():
            self._wait_for_boot()
        if phase.ending:
            raise LifecycleError(
                f"{self._runtime.name}: the runtime is {phase}; a runtime boots once. "
                "Make a new one."
            )
        if phase is not Phase.CREATED:
            return
        try:
            with self.gate.passing(change="boot"):
                self._boot_or_stop()
        except BaseException:
            self._let_go_of_the_rest()
            raise
        finally:
            self._booted.set()

    def _wait_for_boot(self) -> None:
        self._booted.wait()
        if not self.phase.booted:
            raise LifecycleError(f"{self._runtime.name}: the boot in another thread has failed")

    def _boot_or_stop(self) -> None:
        try:
            self._boot()
        except BaseException:
            if self._begins_to_end():
                self._stop("the boot failed")
            raise

    def _begins_to_end(self) -> bool:
        """Say whether the caller is the first who ends the runtime; then it is stopping."""
        with self._lock:
            first = not self.phase.ending
            if first:
                self.phase = Phase.STOPPING
        return first

    def _let_go_of_the_rest(self) -> None:
        """After a boot that has failed, wait for the shutdown, which waits for the gate itself."""
        if self.stopped.wait(self._bound_s):
            for unit in reversed(self.parts.standing):  # those that the shutdown has not seen
                if unit.state is not UnitState.STOPPED:
                    self.assembly.stopping().retire(unit)

    def _boot(self) -> None:
        emit = self._runtime.emit
        for device in self.parts.of(Device).values():
            self.parts.poll(device)
        order = self.resolve()
        emit(message.RuntimeBooting(VERSION))
        self._start_in(order)
        with self._lock:
            if self.phase is not Phase.BOOTING:
                raise LifecycleError("the runtime was shut down while it was booting")
            self.phase = Phase.RUNNING
        emit(message.RuntimeBooted(VERSION))
        for unit in self.parts.standing.copy():
            if self.phase.booted:
                self.assembly.set_ticking(unit)
        self.caretaker.watch_arrivals()
        self.caretaker.tell()

    def resolve(self) -> list[Unit]:
        """Return the order of starting; raises BootError with everything that is wrong."""
        order, failures = dependency_order(list(self.parts.units.values()))
        for device in self.parts.of(Device).values():
            failures += device.check_outputs(self.parts.of(Device))
        self._raise(failures)
        return order

    def _start_in(self, order: Sequence[Unit]) -> None:
        failures: list[Exception] = []
        blamed: dict[str, Exception] = {}  # for each required part that is not there
        behind: dict[Exception, list[str]] = {}  # who waits for what has failed
        failed: Unit | None = None
        for unit in order:
            if failed and unit.kind > failed.kind:
                break  # what comes now would work on what has failed
            if self.parts.units.get(unit.name) is not unit:
                continue  # taken out by one that has started before it
            error = self.caretaker.try_to_start(unit)
            if self.phase is not Phase.BOOTING:
                break  # shut down meanwhile
            if error is None or unit.optional:
                continue
            failed = failed or unit
            cause = next((blamed[name] for name in unit.depends if name in blamed), error)
            blamed[unit.name] = cause
            if cause is error:
                failures.append(error)
            else:
                behind.setdefault(cause, []).append(unit.name)
        for cause, names in behind.items():
            cause.add_note(f"{', '.join(names)} wait{'s' if len(names) == 1 else ''} for it")
        self._raise(failures)

    def _raise(self, failures: list[Exception]) -> None:
        if failures:
            raise BootError(f"{self._runtime.name} did not boot", failures)

    # The end

    def drain(self, timeout_s: float) -> bool:
        """Take on no more commands and finish what is begun; say whether it is finished."""
        with self._lock:
            first = self.phase is Phase.RUNNING
            if not self.phase.booted:
                raise LifecycleError(f"{self._runtime.name}: not drained: it is {self.phase}")
            self.phase = Phase.DRAINING
        commands, clock = self._runtime.commands, self._runtime.clock
        end = clock.monotonic() + timeout_s
        commands.refuse("the runtime is draining: it takes no more commands")
        if first:
            self._runtime.emit(message.RuntimeDraining(f"at most {timeout_s:g} s"))
        done = commands.wait_idle(timeout_s)
        return self._runtime.turns.wait_idle(max(0.0, end - clock.monotonic())) and done

    def when_stopped(self, call: Callable[[], object]) -> None:
        """Call `call` when the shutdown is complete; at once if it is."""
        self._on_stopped.append(call)
        if self.stopped.is_set():
            call()

    def shutdown(self, reason: str) -> None:
        """Stop everything once, on a thread of its own; wait for it where that is possible.

        A runtime that has not booted never does from now on.
        """
        with self._lock:
            never_booted = self.phase is Phase.CREATED
            if never_booted:
                self.phase = Phase.STOPPED
        if never_booted:
            self._close()
            return
        if self._begins_to_end():
            stop = partial(self._stop, reason)
            name = f"{self._runtime.name}:shutdown"
            if not could_start(self._runtime.clock.Thread(stop, name)):
                stop()
        if not self.called_by_a_part():
            self.stopped.wait(self._bound_s)

    def called_by_a_part(self) -> bool:
        """Say whether the caller is a handler, a coroutine, a service or in the boot.

        Nobody waits inside those.
        """
        turns, tasks = self._runtime.turns, self._runtime.tasks
        inside = turns.inside() or tasks.inside() or self.gate.held()
        return inside or current_queue.get() is turns

    @property
    def _bound_s(self) -> float:
        return self._limit_s + 2 * SAFE_LIMIT_S

    def _stop(self, reason: str) -> None:
        stopping = self.assembly.stopping()
        try:
            self.caretaker.look_again()
            self.children.close()
            stopping.stop(self.parts.standing, reason)
        finally:
            self._close(partial(stopping.tell, message.RuntimeShutdown(reason)))

    def _close(self, tell: Callable[[], object] = lambda: None) -> None:
        """End what the runtime has of its own, and `tell` of it before the handlers rest."""
        try:
            self.services.watchdog.close()
            self._runtime.timers.close()
            self._runtime.outputs.close()
            self._runtime.commands.close()
            self._runtime.tasks.close()
            with self._lock:
                self.phase = Phase.STOPPED
            tell()
        finally:  # whatever one of them raises
            self.phase = Phase.STOPPED
            self._runtime.turns.close()
            self.stopped.set()
            for call in self._on_stopped:
                call()
