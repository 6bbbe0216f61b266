"""Boot: the parts of a runtime in the order of their dependencies, honestly (promise P5)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import Any

from edgekernel.core import message
from edgekernel.core.clock import NANOSECONDS, EventLike
from edgekernel.core.component import describe_class, is_marked
from edgekernel.core.context import Host
from edgekernel.core.device import Device
from edgekernel.core.errors import BootError, ConfigError, LifecycleError, describe
from edgekernel.core.gate import Gate
from edgekernel.core.order import dependency_order
from edgekernel.core.poller import Poller
from edgekernel.core.role import Role
from edgekernel.core.service import Service
from edgekernel.core.services import Services
from edgekernel.core.stopping import SAFE_LIMIT_S, Stopping
from edgekernel.core.supervisor import Supervised
from edgekernel.core.turns import current_queue
from edgekernel.core.unit import Unit, UnitState
from edgekernel.core.version import VERSION

RETRY_S = 1.0
"""Seconds before an optional part that did not start is tried again; doubled each time."""
RETRY_LIMIT_S = 60.0


class Phase(StrEnum):
    """Where a runtime is in its life."""

    CREATED = "created"
    BOOTING = "booting"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Lifecycle:
    """The parts of a runtime, started in order and stopped in reverse."""

    def __init__(self, runtime: Host, shutdown_limit_s: float) -> None:
        self._runtime = runtime
        self._lock = runtime.clock.Lock()
        self.phase = Phase.CREATED
        self.gate = Gate(runtime.clock)
        self.stopped: EventLike = runtime.clock.Event()
        self._booted: EventLike = runtime.clock.Event()  # or the boot has failed
        self._on_stopped: list[Callable[[], object]] = []
        self.units: dict[str, Unit] = {}
        self.standing: list[Unit] = []  # those that a shutdown stops, in the order of starting
        self.devices: dict[str, Device] = {}
        self.services = Services(runtime, lambda: self.phase is Phase.RUNNING, self._all_units)
        self._limit_s = shutdown_limit_s
        self._jitter = random.Random(runtime.name)
        self._care: EventLike = runtime.clock.Event()
        self._cared_for = False
        self._degraded: tuple[str, ...] = ()

    # What there is

    def add(
        self,
        part: Any,
        name: str = "",
        *,
        properties: Mapping[str, object] | None = None,
        optional: bool = False,
        parent: str = "",
    ) -> Unit:
        """Take a part in, an instance or a component class; names are unique."""
        made = part() if isinstance(part, type) else part
        unit = self.make_unit(made, name, properties=properties, optional=optional, parent=parent)
        self.enlist(unit)
        return unit

    def make_unit(self, part: Any, name: str = "", **how: Any) -> Unit:
        """Describe a part as a unit of this runtime, under a name that is free."""
        if not is_component(part):
            raise TypeError(
                f"{part!r} is no component: make it a Device, Process, Interface or Service, or "
                "mark its class with @component"
            )
        name = name or part_name(part)
        if not name:
            raise ConfigError(f"{type(part).__name__}: a part needs a name (or a device an id)")
        if name in self.units:
            other = self.units[name].part
            raise ConfigError(f"{name}: two parts of this name: {part!r} and {other!r}")
        if isinstance(part, Device) and name != part.id:
            raise ConfigError(f"{name}: a device is called by its id, which is {part.id!r}")
        if isinstance(part, Role):
            part.name = name
        return Unit(self._runtime, part, name, **how)

    def enlist(self, unit: Unit) -> None:
        """Put a unit on the list of parts."""
        self.units = {**self.units, unit.name: unit}  # replaced, not changed: others iterate it
        self._relist()

    def strike(self, unit: Unit) -> None:
        """Take a unit off the list of parts."""
        self.units = {name: each for name, each in self.units.items() if each is not unit}
        self._relist()

    def _relist(self) -> None:
        parts = {name: unit.part for name, unit in self.units.items()}
        self.devices = {name: part for name, part in parts.items() if isinstance(part, Device)}

    def _all_units(self) -> Iterable[Unit]:
        return self.units.values()

    @property
    def degraded(self) -> tuple[str, ...]:
        """The parts that should be active and are not."""
        wrong = (UnitState.WAITING, UnitState.FAILED)
        return tuple(unit.name for unit in self.units.values() if unit.state in wrong)

    # Boot

    def boot(self) -> None:
        """Start everything, or nothing."""
        with self._lock:
            elsewhere = self.phase is Phase.BOOTING and not self.gate.held()
            if not elsewhere and self.phase in (Phase.RUNNING, Phase.BOOTING):
                return
            if not elsewhere and self.phase is not Phase.CREATED:
                raise LifecycleError(
                    f"{self._runtime.name}: the runtime is {self.phase}; a runtime boots once. "
                    "Make a new one."
                )
            if not elsewhere:
                self.phase = Phase.BOOTING
        if elsewhere:
            self._wait_for_boot()
            return
        with self.gate.passing():
            try:
                self._boot()
            except BaseException:
                self._booted.set()
                self._roll_back()
                raise
            finally:
                self._booted.set()

    def _wait_for_boot(self) -> None:
        self._booted.wait()
        if self.phase is not Phase.RUNNING:
            raise LifecycleError(f"{self._runtime.name}: the boot in another thread has failed")

    def _roll_back(self) -> None:
        with self._lock:
            first = self.phase in (Phase.BOOTING, Phase.RUNNING)
            self.phase = Phase.STOPPING if first else self.phase
        if first:
            self._stop("the boot failed")
        elif self.stopped.wait(self._bound_s):
            for unit in reversed(self.standing):  # those that the shutdown has not seen
                if unit.state is not UnitState.STOPPED:
                    self.stopping().retire(unit)

    def _boot(self) -> None:
        emit = self._runtime.emit
        for device in self.devices.values():
            self.poll(device)
        order = self.resolve()
        emit(message.RuntimeBooting(VERSION))
        self._start_in(order)
        with self._lock:
            if self.phase is not Phase.BOOTING:
                raise LifecycleError("the runtime was shut down while it was booting")
            self.phase = Phase.RUNNING
        emit(message.RuntimeBooted(VERSION))
        for unit in self.standing.copy():
            if self.phase is Phase.RUNNING:
                self.set_ticking(unit)
        self.tell_degraded()

    def resolve(self) -> list[Unit]:
        """Return the order of starting; raises BootError with everything that is wrong."""
        order, failures = dependency_order(list(self.units.values()))
        self._raise(failures)
        return order

    def _start_in(self, order: Sequence[Unit]) -> None:
        failures: list[Exception] = []
        failed: Unit | None = None
        for unit in order:
            if self.phase is not Phase.BOOTING or (failed and unit.kind > failed.kind):
                break  # shut down meanwhile; or what comes now would work on what has failed
            error = self.try_to_start(unit)
            if error is not None and not unit.optional:
                failed = failed or unit
                failures.append(error)
        self._raise(failures)

    def try_to_start(self, unit: Unit) -> Exception | None:
        """Start a unit; return what kept it from starting. An optional one is tried again."""
        if unit.state is UnitState.ACTIVE:
            return None
        missing = unit.unmet()
        if missing:
            text = f"{unit.name}: not started: nobody provides {', '.join(missing)}"
            if unit.state is not UnitState.WAITING:
                self._runtime.emit(message.ComponentWaiting(unit.name, tuple(missing)))
            unit.state, unit.error = UnitState.WAITING, text
            return LifecycleError(text)
        try:
            self.start(unit)
        except Exception as error:
            error.add_note(
                f"while {'attaching device' if unit.is_device else 'starting'} {unit.name!r}"
            )
            if unit.optional or self.phase is not Phase.BOOTING:
                self._retry_later(unit, error)
            return error
        return None

    def start(self, unit: Unit) -> None:
        """Start a unit; raises what kept it from starting."""
        try:
            unit.attach()
        except Exception:
            unit.unbind()
            raise
        self.standing.append(unit)  # from here on a shutdown calls stop and detach
        if isinstance(unit.part, Service):
            self.supervise(unit)
        else:
            unit.begin()
            if self.ending:
                return  # shut down meanwhile, perhaps by itself
            unit.enter()
        unit.present()

    @property
    def ending(self) -> bool:
        """Whether the runtime is on its way out."""
        return self.phase in (Phase.STOPPING, Phase.STOPPED)

    def set_ticking(self, unit: Unit) -> None:
        """Start the thread of a unit that is a service."""
        if unit.supervised is not None:
            unit.supervised.start()

    def supervise(self, unit: Unit, begin: Callable[[], object] | None = None) -> None:
        """Give a unit that is a service its supervisor."""
        unit.supervised = Supervised(
            unit.part,
            unit.context,
            begin=begin or unit.begin,
            enter=unit.enter,
            leave=unit.leave,
            watchdog=self.services.watchdog,
        )

    def poll(self, device: Device) -> Unit | None:
        """Let a device be polled with the others of its group; return a new poller."""
        if device.polled and not device.every > 0:
            raise ConfigError(f"{device.id}: every is {device.every} s; it must be above 0")
        if not device.polled:
            return None
        poller = self._poller_of(device)
        if poller is None:
            return self.add(Poller(device.poll_group, [device]))
        poller.part.add(device)
        return None

    def _poller_of(self, device: Device) -> Unit | None:
        for unit in self.units.values():
            if isinstance(unit.part, Poller) and unit.part.group == device.poll_group:
                return unit
        return None

    def _raise(self, failures: list[Exception]) -> None:
        if failures:
            raise BootError(f"{self._runtime.name} did not boot", failures)

    # Parts that did not start

    def _retry_later(self, unit: Unit, error: Exception) -> None:
        self.undo(unit)
        unit.state, unit.attempts = UnitState.FAILED, unit.attempts + 1
        unit.error, trace = describe(error)
        delay_s = min(RETRY_S * 2.0 ** (unit.attempts - 1), RETRY_LIMIT_S)
        delay_s *= self._jitter.uniform(0.8, 1.2)
        unit.retry_ns = self._runtime.clock.monotonic_ns() + int(delay_s * NANOSECONDS)
        self._runtime.emit(message.ComponentFailed(unit.name, unit.error, trace))
        self._runtime.emit(message.PartRetry(unit.name, unit.attempts, delay_s))
        self._look_after()

    def undo(self, unit: Unit) -> None:
        """Take down what of a unit and its children stands; failures are passed over."""
        for child in self.family(unit)[1:]:
            self.take_out(child)
        if unit in self.standing:
            self.stopping().retire(unit)
            self.standing.remove(unit)
        unit.unbind()

    def take_out(self, unit: Unit) -> None:
        """Take a unit and its children down and off the list."""
        for each in reversed(self.family(unit)):
            poller = self._poller_of(each.part) if isinstance(each.part, Device) else None
            if poller is not None:
                poller.part.remove(each.part)
            if each in self.standing:
                self.stopping().retire(each)
                self.standing.remove(each)
            each.unbind()
            self.strike(each)
            if poller is not None and not poller.part.devices:
                self.take_out(poller)

    def family(self, unit: Unit) -> list[Unit]:
        """Return a unit and what it and its children have spawned, parents first."""
        found = [unit]
        for member in found:  # grows while it is walked
            found += [each for each in self.units.values() if each.parent == member.name]
        return found

    def put_in_place(self, old: Unit, new: Unit) -> None:
        """Let a unit stand where another one stood."""
        self.units = {name: new if each is old else each for name, each in self.units.items()}
        self.standing[self.standing.index(old)] = new
        if isinstance(new.part, Device):
            poller = self._poller_of(old.part)
            if poller is not None:
                poller.part.remove(old.part)
            self.poll(new.part)
        self._relist()
        new.state, old.state = UnitState.ACTIVE, UnitState.STOPPED

    def _look_after(self) -> None:
        """See to it that what did not start is tried again when it is time."""
        self._care.set()
        if not self._cared_for:
            self._cared_for = True
            name = f"{self._runtime.name}:caretaker"
            self._runtime.clock.Thread(self._take_care, name).start()

    def _take_care(self) -> None:
        clock = self._runtime.clock
        self._booted.wait()
        while not self.ending:
            due = [unit.retry_ns for unit in self._failed() if unit.retry_ns is not None]
            wait_s = (min(due) - clock.monotonic_ns()) / NANOSECONDS if due else None
            if wait_s is None or wait_s > 0:
                self._care.wait(wait_s)
            self._care.clear()
            with self.gate.passing():
                for unit in self._failed():
                    if unit.retry_ns is not None and unit.retry_ns <= clock.monotonic_ns():
                        self._try_again(unit)
                self.settle()

    def _failed(self) -> Iterator[Unit]:
        return (unit for unit in self.units.values() if unit.state is UnitState.FAILED)

    def _try_again(self, unit: Unit) -> None:
        if not self.ending and self.try_to_start(unit) is None:
            unit.attempts = 0
            self.set_ticking(unit)

    def settle(self) -> None:
        """Start those that were waiting for what is there now; inside the gate."""
        order, _ = dependency_order(list(self.units.values()))
        for unit in order:
            if unit.state is UnitState.WAITING and not unit.unmet():
                self._try_again(unit)
        self.tell_degraded()

    def tell_degraded(self) -> None:
        """Say so when the list of parts that are not active has changed."""
        before, self._degraded = self._degraded, self.degraded
        if self._degraded == before or self.ending:
            return
        told = message.RuntimeDegraded(self._degraded)
        self._runtime.emit(told if self._degraded else message.RuntimeRecovered())

    # The end

    def when_stopped(self, call: Callable[[], object]) -> None:
        """Call `call` when the shutdown is complete; at once if it is."""
        self._on_stopped.append(call)
        if self.stopped.is_set():
            call()

    def shutdown(self, reason: str) -> None:
        """Stop everything once, on a thread of its own; wait for it where that is possible."""
        with self._lock:
            first = self.phase in (Phase.BOOTING, Phase.RUNNING, Phase.DRAINING)
            if self.phase is Phase.CREATED:
                return
            if first:
                self.phase = Phase.STOPPING
        if first:
            clock = self._runtime.clock
            self._care.set()
            clock.Thread(partial(self._stop, reason), f"{self._runtime.name}:shutdown").start()
        if not self.called_by_a_part():
            self.stopped.wait(self._bound_s)

    def called_by_a_part(self) -> bool:
        """Say whether the caller is a handler, a service or in the boot: nobody waits for those."""
        turns = self._runtime.turns
        return turns.inside() or current_queue.get() is turns or self.gate.held()

    def stopping(self) -> Stopping:
        """Return what takes units down, its time running from now."""
        return Stopping(self._runtime, self.gate, self._limit_s)

    @property
    def _bound_s(self) -> float:
        return self._limit_s + 2 * SAFE_LIMIT_S

    def _stop(self, reason: str) -> None:
        stopping = self.stopping()
        try:
            stopping.stop(self.standing, reason)
        finally:
            self._runtime.commands.close()
            self._runtime.tasks.close()
            with self._lock:
                self.phase = Phase.STOPPED
            stopping.tell(message.RuntimeShutdown(reason))
            self.services.watchdog.close()
            self._runtime.turns.close()
            self.stopped.set()
            for call in self._on_stopped:
                call()


def is_component(part: Any) -> bool:
    """Say whether an object can be a part: by its role, or by a marker on its class."""
    if isinstance(part, Device | Role):
        return True
    return is_marked(type(part))


def part_name(part: Any) -> str:
    """Return what a part is called: a device by its id, a role by its name, else its class's."""
    if isinstance(part, Device):
        return part.id
    if isinstance(part, Role):
        return part.name
    return describe_class(type(part)).name
