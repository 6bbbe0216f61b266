"""Boot and shutdown: the order of the parts, one error tree, and a bound on the end."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from typing import Any

from edgekernel.core import message
from edgekernel.core.clock import EventLike, ThreadLike
from edgekernel.core.component import Activation, handlers, requirements
from edgekernel.core.context import Context, Host
from edgekernel.core.device import Device
from edgekernel.core.effect import Effect, collecting
from edgekernel.core.errors import (
    BootError,
    ConfigError,
    LifecycleError,
    TurnTimeoutError,
    describe,
)
from edgekernel.core.interface import Interface
from edgekernel.core.messages import Event, Message
from edgekernel.core.poller import Poller
from edgekernel.core.process import Process
from edgekernel.core.role import Role
from edgekernel.core.routes import Rank, Route
from edgekernel.core.service import Service
from edgekernel.core.supervisor import Supervised
from edgekernel.core.turns import current_queue
from edgekernel.core.version import VERSION

Part = Device | Process | Interface | Service

_SAFE_LIMIT_S = 2.0
_LEAVE_LIMIT_S = 1.0
_LEAST_S = 0.05
_RANKS: dict[type[Role], Rank] = {
    Process: Rank.PROCESS,
    Interface: Rank.INTERFACE,
    Service: Rank.SERVICE,
}


class State(StrEnum):
    """Where a runtime is in its life."""

    CREATED = "created"
    BOOTING = "booting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


class _Live:
    """The presence of one role in the runtime: its routes, commands, effects."""

    def __init__(self, runtime: Host, role: Role) -> None:
        self.role = role
        self.context = Context(runtime, role.name)
        self._runtime = runtime
        self._rank = next(rank for kind, rank in _RANKS.items() if isinstance(role, kind))
        self._routes: list[Route] = []
        self._commands: list[str] = []
        self._activation: Activation | None = None
        self._made: list[Effect] = []

    def begin(self) -> None:
        """Start the role; effects that it makes in `start` end with it."""
        self._runtime.turns.within(self._begin)

    def _begin(self) -> None:
        with collecting(self._made):
            self.role.start(self.context)

    def enter(self) -> None:
        """Let handlers, effects and commands be called from now on."""
        self._runtime.turns.call(self._enter, f"start of {self.role.name}")

    def _enter(self) -> None:
        self._activation = Activation(self.role)
        role, context = self.role, self.context
        if type(role).handle_event is not Role.handle_event:
            self._route(Message, "handle_event", partial(role.handle_event, context))
        for cls, handler in handlers(role):
            self._route(cls, handler.__name__, handler)
        self._commands = self._runtime.commands.add(role.name, role)

    def _route(self, cls: type[Message], name: str, call: Callable[[Event], object]) -> None:
        label = f"{self.role.name}.{name}"
        route = self._runtime.routes.add(self._rank, cls, self.role.name, label, call)
        self._routes.append(route)

    def leave(self, limit_s: float = _LEAVE_LIMIT_S) -> None:
        """Let nothing of it be called any more; wait for a handler that runs, but not for ever."""
        try:
            self._runtime.turns.call(self._leave, f"end of {self.role.name}", limit_s)
        except TurnTimeoutError:
            self._leave()

    def _leave(self) -> None:
        self._runtime.routes.remove(*self._routes)
        self._runtime.commands.remove(self._commands)
        self._routes, self._commands = [], []
        if self._activation is not None:
            self._activation.close()
            self._activation = None
        for effect in reversed(self._made):
            effect.dispose()
        self._made = []


class Lifecycle:
    """The parts of a runtime, started in order and stopped in reverse."""

    def __init__(self, runtime: Host, shutdown_limit_s: float) -> None:
        self._runtime = runtime
        self._limit_s = shutdown_limit_s
        self._lock = runtime.clock.Lock()
        self.state = State.CREATED
        self.stopped: EventLike = runtime.clock.Event()
        self._booted: EventLike = runtime.clock.Event()  # or the boot has failed
        self._boot_flow: object = None
        self._on_stopped: list[Callable[[], object]] = []
        self.devices: dict[str, Device] = {}
        self.services: dict[str, Service] = {}
        self._roles: dict[str, Role] = {}
        self._attached: list[Device] = []
        self._live: list[_Live] = []
        self._supervised: dict[str, Supervised] = {}

    def add(self, part: Part, name: str) -> None:
        """Take a part in, before boot; names are unique."""
        if self.state is not State.CREATED:
            raise LifecycleError(
                f"{name}: parts are added before boot; the runtime is {self.state}"
            )
        if not isinstance(part, Device | Process | Interface | Service):
            raise TypeError(f"{part!r} is no Device, Process, Interface or Service")
        if not name:
            raise ConfigError(f"{type(part).__name__}: a part needs a name (or a device an id)")
        if name in self.devices or name in self._roles:
            other = self.devices.get(name) or self._roles[name]
            raise ConfigError(f"{name}: two parts of this name: {part!r} and {other!r}")
        if isinstance(part, Device):
            self.devices[name] = part
            return
        self._roles[name] = part
        if isinstance(part, Service):
            self.services[name] = part

    def service_status(self) -> dict[str, Any]:
        """Return the supervisor's view of every service."""
        return {name: supervised.status() for name, supervised in self._supervised.items()}

    def when_stopped(self, call: Callable[[], object]) -> None:
        """Call `call` when the shutdown is complete; at once if it is."""
        self._on_stopped.append(call)
        if self.stopped.is_set():
            call()

    def boot(self) -> None:
        """Start everything, or nothing."""
        with self._lock:
            flow = self._runtime.clock.flow()
            elsewhere = self.state is State.BOOTING and self._boot_flow != flow
            if not elsewhere and self.state in (State.RUNNING, State.BOOTING):
                return
            if not elsewhere and self.state is not State.CREATED:
                raise LifecycleError(
                    f"{self._runtime.name}: the runtime is {self.state}; a runtime boots once. "
                    "Make a new one."
                )
            if not elsewhere:
                self.state = State.BOOTING
                self._boot_flow = flow
        if elsewhere:
            self._wait_for_boot()
            return
        try:
            self._boot()
        except BaseException:
            self._booted.set()
            self._roll_back()
            raise
        finally:
            self._boot_flow = None
            self._booted.set()

    def _wait_for_boot(self) -> None:
        self._booted.wait()
        if self.state is not State.RUNNING:
            raise LifecycleError(f"{self._runtime.name}: the boot in another thread has failed")

    def _roll_back(self) -> None:
        with self._lock:
            first = self.state in (State.BOOTING, State.RUNNING)
            self.state = State.STOPPING if first else self.state
        if first:
            self._stop("the boot failed")
        elif self.stopped.wait(self._bound_s):
            for device in reversed(self._attached):  # attached after the shutdown gave up waiting
                device.detach()

    def _boot(self) -> None:
        emit = self._runtime.emit
        self._add_pollers()
        self.resolve()
        emit(message.RuntimeBooting(VERSION))
        self._attach_devices()
        for kind in (Process, Interface):
            self._gather([(r.name, self._starter(r)) for r in self._of(kind)])
        self._gather([(s.name, self._preparer(s)) for s in self._of(Service)])
        with self._lock:
            if self.state is not State.BOOTING:
                raise LifecycleError("the runtime was shut down while it was booting")
            self.state = State.RUNNING
        emit(message.RuntimeBooted(VERSION))
        for name, supervised in self._supervised.items():
            if self.services[name].enabled and self.state is State.RUNNING:
                supervised.start()

    def _of(self, kind: type[Role]) -> list[Role]:
        return [role for role in self._roles.values() if isinstance(role, kind)]

    def _add_pollers(self) -> None:
        groups: dict[str, list[Device]] = {}
        for device in self.devices.values():
            if device.polled and not device.every > 0:
                raise ConfigError(f"{device.id}: every is {device.every} s; it must be above 0")
            if device.polled:
                groups.setdefault(device.poll_group, []).append(device)
        for group, devices in groups.items():
            poller = Poller(group, devices)
            self._roles[poller.name] = self.services[poller.name] = poller

    def resolve(self) -> None:
        """Fill in what the roles require, before any hardware is touched."""
        failures: list[Exception] = []
        for role in self._roles.values():
            for needed in requirements(type(role)):
                found = [
                    device
                    for device in self.devices.values()
                    if isinstance(device, needed.contract) and needed.id in (None, device.id)
                ]
                if len(found) == 1:
                    setattr(role, needed.name, found[0])
                    continue
                which = (
                    f"several fit: {', '.join(d.id for d in found)}" if found else "there is none"
                )
                failures.append(
                    ConfigError(f"{role.name}.{needed.name}: requires a {needed}, but {which}")
                )
        self._raise(failures)

    def _attach_devices(self) -> None:
        failures: list[Exception] = []
        for device in self.devices.values():
            if self.state is not State.BOOTING:
                break  # shut down meanwhile
            try:
                device.attach(Context(self._runtime, device.id))
                self._attached.append(device)
            except Exception as error:
                error.add_note(f"while attaching device {device.id!r}")
                failures.append(error)
        self._raise(failures)

    def _gather(self, steps: list[tuple[str, Callable[[], object]]]) -> None:
        failures: list[Exception] = []
        for name, step in steps:
            if self.state is not State.BOOTING:
                break  # shut down meanwhile
            try:
                step()
            except Exception as error:
                error.add_note(f"while starting {name!r}")
                failures.append(error)
        self._raise(failures)

    def _raise(self, failures: list[Exception]) -> None:
        if failures:
            raise BootError(f"{self._runtime.name} did not boot", failures)

    def _starter(self, role: Role) -> Callable[[], object]:
        def start() -> None:
            live = _Live(self._runtime, role)
            role.attach(live.context)
            self._live.append(live)  # from here on the shutdown calls stop and detach
            live.begin()
            if self.state is not State.BOOTING:
                return  # shut down meanwhile, perhaps by itself
            live.enter()
            told = message.ProcessStarted if isinstance(role, Process) else message.InterfaceStarted
            self._runtime.emit(told(role.name))

        return start

    def _preparer(self, service: Role) -> Callable[[], object]:
        def prepare() -> None:
            assert isinstance(service, Service)
            live = _Live(self._runtime, service)
            service.attach(live.context)
            self._supervised[service.name] = Supervised(
                service,
                live.context,
                begin=live.begin,
                enter=live.enter,
                leave=live.leave,
                halt=self.shutdown,
            )

        return prepare

    def shutdown(self, reason: str) -> None:
        """Stop everything once, on a thread of its own; wait for it where that is possible."""
        with self._lock:
            first = self.state in (State.BOOTING, State.RUNNING)
            if self.state is State.CREATED:
                return
            if first:
                self.state = State.STOPPING
        if first:
            clock = self._runtime.clock
            clock.Thread(lambda: self._stop(reason), f"{self._runtime.name}:shutdown").start()
        if not self._called_by_a_part():
            self.stopped.wait(self._bound_s)

    @property
    def _bound_s(self) -> float:
        return self._limit_s + 2 * _SAFE_LIMIT_S

    def _called_by_a_part(self) -> bool:
        """Say whether the caller is a handler, a service or in the boot: nobody waits for those."""
        turns, flow = self._runtime.turns, self._runtime.clock.flow()
        return turns.inside() or current_queue.get() is turns or self._boot_flow == flow

    def _stop(self, reason: str) -> None:
        """Safe first, then services, interfaces, processes, devices: each in reverse."""
        end = self._runtime.clock.monotonic() + self._limit_s
        try:
            self._stop_parts(reason, end)
        finally:
            with self._lock:
                self.state = State.STOPPED
            self._tell(message.RuntimeShutdown(reason), end)
            self._runtime.turns.close()
            self.stopped.set()
            for call in self._on_stopped:
                call()

    def _stop_parts(self, reason: str, end: float) -> None:
        turns = self._runtime.turns
        self._hold_safe(reason)
        if not self._booted.is_set():
            if not self._booted.wait(self._left(end, 0.5)):
                self._passed_over("boot", "still going on")
            self._hold_safe(reason)  # what it has attached meanwhile
        self._tell(message.RuntimeShuttingDown(reason), end)
        self._stop_services(end)
        idle = turns.wait_idle(min(1.0, self._left(end, 0.5)))
        leave_s = min(_LEAVE_LIMIT_S, self._left(end, 0.25)) if idle else _LEAST_S
        for live in reversed(self._live):
            self._bounded(f"stop of {live.role.name}", partial(self._retire, live, leave_s), end)
        for device in reversed(self._attached):
            self._bounded(f"detach of {device.id}", device.detach, end)

    def _hold_safe(self, reason: str) -> None:
        text = f"the node is stopping: {reason}"
        holds = [
            (f"safe state of {device.id}", partial(device.hold_safe, text))
            for device in reversed(self._attached)
        ]
        self._all_at_once(holds, min(_SAFE_LIMIT_S, self._limit_s / 2))

    def _left(self, end: float, part: float = 1.0) -> float:
        """Return a part of the time that is left, or the least that is given to each step."""
        return max(_LEAST_S, (end - self._runtime.clock.monotonic()) * part)

    def _stop_services(self, end: float) -> None:
        supervised = list(reversed(self._supervised.items()))
        for _, each in supervised:
            each.cancel()
        for name, each in supervised:
            left = self._left(end, 0.5)  # interfaces, processes and devices come after
            if not each.join(left):
                self._passed_over(f"stop of service {name}", f"still running after {left:.1f} s")
            self._bounded(f"detach of service {name}", self.services[name].detach, end)

    def _retire(self, live: _Live, leave_s: float) -> None:
        role = live.role
        errors: list[Exception] = []
        for step in (partial(live.leave, leave_s), partial(role.stop, live.context), role.detach):
            try:
                step()
            except Exception as error:
                errors.append(error)
        told = message.ProcessStopped if isinstance(role, Process) else message.InterfaceStopped
        self._runtime.emit(told(role.name))
        if errors:
            raise errors[0] if len(errors) == 1 else ExceptionGroup(role.name, errors)

    def _bounded(self, name: str, step: Callable[[], object], end: float) -> None:
        self._all_at_once([(name, step)], self._left(end, 0.5))  # the rest is for those after it

    def _all_at_once(
        self, steps: Sequence[tuple[str, Callable[[], object]]], limit_s: float
    ) -> None:
        """Run steps beside one another; report those that raise or take longer than the limit."""
        for name in self._unfinished(steps, limit_s):
            self._passed_over(name, f"not done within {limit_s:.1f} s")

    def _unfinished(
        self, steps: Sequence[tuple[str, Callable[[], object]]], limit_s: float
    ) -> list[str]:
        clock = self._runtime.clock
        threads: list[tuple[str, ThreadLike]] = []
        for name, step in steps:
            thread = clock.Thread(partial(self._reported, name, step), f"stop:{name}")
            thread.start()
            threads.append((name, thread))
        end = clock.monotonic() + limit_s
        for _, thread in threads:
            thread.join(max(0.0, end - clock.monotonic()))
        return [name for name, thread in threads if thread.is_alive()]

    def _reported(self, name: str, step: Callable[[], object]) -> None:
        try:
            self._runtime.turns.within(step)
        except Exception as error:
            self._passed_over(name, describe(error)[0])

    def _passed_over(self, step: str, error: str) -> None:
        told = message.ShutdownStepFailed(step, error)
        self._unfinished([("report", partial(self._runtime.emit, told))], _LEAST_S)

    def _tell(self, told: Message, end: float) -> None:
        """Emit in a thread of its own: a handler that hangs is passed over like any step."""
        emit = partial(self._runtime.emit, told)
        self._all_at_once([(f"handling of {told.name}", emit)], min(1.0, self._left(end, 0.25)))
