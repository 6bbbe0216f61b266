"""Runtime: owns the parts, routes every message, boots in order and stops within a bound."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from edgekernel.core.busy import BusyLocks
from edgekernel.core.call import Call, Request
from edgekernel.core.clock import Clock, SystemClock
from edgekernel.core.commands import Authorizer, Binder, bind_by_name
from edgekernel.core.control import Control
from edgekernel.core.device import Device
from edgekernel.core.devices import Devices
from edgekernel.core.errors import HeldSafeError, InvalidValueError, LifecycleError, describe
from edgekernel.core.faults import ErrorRecord, Faults
from edgekernel.core.hot import HotChanges
from edgekernel.core.interface import Interface
from edgekernel.core.invocation import Commands
from edgekernel.core.lifecycle import Lifecycle
from edgekernel.core.markers import KindNote, SkillNote, is_async
from edgekernel.core.memory import Memory
from edgekernel.core.messages import Event, Message
from edgekernel.core.outputs import Outputs
from edgekernel.core.phase import Phase
from edgekernel.core.policy import Policies
from edgekernel.core.process import Process
from edgekernel.core.record import dataclass
from edgekernel.core.registry import Registry
from edgekernel.core.routes import EventTurn, Plan, Rank, Route, RoutingTable, event_turn
from edgekernel.core.service import Service
from edgekernel.core.services import Services
from edgekernel.core.state import StateStore
from edgekernel.core.tasks import Tasks
from edgekernel.core.timers import Timers
from edgekernel.core.turn_watch import TurnWatch
from edgekernel.core.turns import TurnQueue
from edgekernel.core.unit import Unit, UnitState

if TYPE_CHECKING:
    from edgekernel.core.traits import TraitRegistry

T = TypeVar("T")

_step_event = EventTurn.step


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscriber's place in the routing; `cancel` gives it up."""

    _table: RoutingTable
    _route: Route

    def cancel(self) -> None:
        """Call the subscriber no more. Cancelling twice is harmless."""
        self._table.remove(self._route)


class Runtime:
    """The authority over one application: its devices, processes, interfaces and services.

    Attach and register the parts, then `boot`; or use it as a context manager. Everything
    coordinates through messages and signals, in the order and with the exclusiveness that
    `edgekernel.core.turns` describes.
    """

    def __init__(
        self,
        *,
        name: str = "edgekernel",
        clock: Clock | None = None,
        binder: Binder = bind_by_name,
        authorizer: Authorizer | None = None,
        memory: Memory | None = None,
        slow_turn_s: float = 0.1,
        hung_turn_s: float = 10.0,
        shutdown_limit_s: float = 10.0,
        change_limit_s: float = 60.0,
    ) -> None:
        """Make a runtime with no parts.

        `binder` checks command arguments; without an `authorizer` every command that needs a
        role is refused. `memory` keeps what is to be known after a restart; without one nothing
        is. A handler longer than `slow_turn_s` is reported; one longer than `hung_turn_s` is logged
        while it goes on, and no watchdog is fed. `shutdown` comes back within `shutdown_limit_s` +
        4 seconds, whatever hangs: the safe values come first, then each part gets a share of it,
        0.05 s at least. A hot change that others keep waiting for `change_limit_s` is refused.
        """
        self.name = name
        self.clock: Clock = clock or SystemClock()
        self.faults = Faults(self)
        self.routes = RoutingTable(self.clock, self.faults.handler_failed)
        self.registry = Registry()
        self.state = StateStore()
        self.turns = TurnQueue(
            self.clock, self.faults, dispatcher=f"{name}:dispatcher", slow_turn_s=slow_turn_s
        )
        self.tasks = Tasks(self.clock, f"{name}:loop", self.turns.failed)
        self.turns.use_tasks(self.tasks)
        self.timers = Timers(self.clock, f"{name}:timers", self.turns)
        self.busy = BusyLocks(self.clock, self.timers)
        self.outputs = Outputs(self, memory)
        self.commands = Commands(
            self.clock, self.turns, self.tasks, self._tell, self.fault,
            binder=binder, authorizer=authorizer, name=name)  # fmt: skip
        self._lifecycle = Lifecycle(self, shutdown_limit_s)
        watchdog, hung_turn_s = self.services.watchdog, max(slow_turn_s, hung_turn_s)
        watchdog.watch(TurnWatch(self.turns, hung_turn_s, watchdog.look, self.faults.turn_hangs))
        self._hot = HotChanges(self, self._lifecycle, change_limit_s)
        self.devices = Devices(self._lifecycle.parts, self.attach_device, self.hot_remove)

    @property
    def phase(self) -> Phase:
        """Where the runtime is between created and stopped."""
        return self._lifecycle.phase

    @property
    def errors(self) -> deque[ErrorRecord]:
        """The latest failures, of handlers, effects and whatever else nobody waits for."""
        return self.faults.kept

    @property
    def error_count(self) -> int:
        """How many failures there were in all."""
        return self.faults.count

    @property
    def processes(self) -> Mapping[str, Process]:
        """The processes by name."""
        return self._lifecycle.parts.of(Process)

    @property
    def interfaces(self) -> Mapping[str, Interface]:
        """The interfaces by name."""
        return self._lifecycle.parts.of(Interface)

    @property
    def services(self) -> Services:
        """The services by name, and the control of them while the runtime runs."""
        return self._lifecycle.services

    @property
    def policies(self) -> Policies:
        """Who may call which commands; what is set counts from the next call on."""
        return self.commands.policies

    @cached_property
    def traits(self) -> TraitRegistry:
        """The traits that `status` tells of its parts; one's own may be added."""
        from edgekernel.core.traits import standard_traits

        return standard_traits()

    def attach_device(self, device: Device, *, optional: bool = False) -> None:
        """Add a device; its `connect` runs at boot, or at once in a runtime that runs."""
        self.register(device, optional=optional)

    def register_process(self, process: Process) -> None:
        """Add a process; to a runtime that runs, it is added at once."""
        self.register(process)

    def register_interface(self, interface: Interface) -> None:
        """Add an interface; to a runtime that runs, it is added at once."""
        self.register(interface)

    def register_service(self, service: Service) -> None:
        """Add a service; its thread starts at the end of the boot, or at once after it."""
        self.register(service)

    def register(
        self,
        part: Any,
        name: str = "",
        *,
        properties: Mapping[str, object] | None = None,
        optional: bool = False,
    ) -> Any:
        """Add any component, an instance or a class, before the boot or, as `hot_add`, after it.

        Without a `name` it is called by its own: a device's `id`, a role's `name`, the name in
        `@component`, or its class's in kebab-case. `properties` are those that others find it
        by. An `optional` part that does not start leaves the runtime degraded and is tried again
        with backoff. Returns the instance.
        """
        if self.phase is Phase.CREATED:
            how = {"properties": properties, "optional": optional}
            return self._lifecycle.parts.add(part, name, **how).part
        return self.hot_add(part, name, properties=properties, optional=optional)

    def instantiate(
        self, cls: type[T], name: str, properties: Mapping[str, object] | None = None
    ) -> T:
        """Add one more instance of a component class, under a name of its own."""
        made: T = self.register(cls, name, properties=properties)
        return made

    def hot_add(
        self,
        part: Any,
        name: str = "",
        *,
        properties: Mapping[str, object] | None = None,
        optional: bool = False,
    ) -> Any:
        """Add a part to the runtime as it runs; parts that were waiting for it start too.

        Raises ConfigError (name taken, requirement missing), LifecycleError (not running, or
        another change hangs) or what kept the part from starting: then nothing of it is left.
        Inside a handler, effect or command it returns at once, and a failure becomes the message
        HotChangeFailed.
        """
        return self._hot.add(part, name, properties=properties, optional=optional)

    def hot_remove(self, name: str, *, force: bool = False) -> None:
        """Take a part, and the children it has spawned, out of the runtime as it runs.

        Afterwards nothing of it runs, is subscribed, injected or claimed. A part that others
        cannot do without is not removed (LifecycleError names them), unless with `force`: then
        they are stopped first, and start again when somebody else provides what they need.
        Raises UnknownTargetError for an unknown name. Inside a turn as `hot_add`.
        """
        self._hot.remove(name, force=force)

    def hot_update(self, part: Any) -> list[Any]:
        """Put a new version in the place of a part: a new class, or an instance of one.

        A class replaces every instance of the component of that name, each under its name and
        with its properties; an instance replaces the part of its name. What the old one's
        `@lifecycle.snapshot` returns is given to the new one's `@lifecycle.restore`; without
        them, plain data in attributes that both have is carried over. All or nothing: if the
        new version does not start, the old one stays, and what went wrong is raised. Consumers
        see one or the other at any time. Returns the new instances. Inside a turn as `hot_add`.
        """
        return self._hot.update(part)

    def retry(self, name: str) -> None:
        """Start a part that has failed, or waits, now instead of later.

        Raises UnknownTargetError, LifecycleError (it is active), or what keeps it from starting:
        then it is tried again later as before. Inside a turn as `hot_add`.
        """
        self._hot.retry(name)

    def spawn(
        self, parent: str, part: Any, name: str, properties: Mapping[str, object] | None
    ) -> Any:
        """Add a child of a part; parts call `ctx.spawn`."""
        return self._hot.spawn(parent, part, name, properties)

    def fault(self, name: str, error: BaseException) -> None:
        """Let the supervisor of a spawned part know of a failure; nothing for other parts."""
        if not self.held_safe(error):
            self._lifecycle.children.fault(name, error)

    def resolve(self) -> None:
        """Fill in what the parts require of one another, as `boot` does first.

        Raises BootError with everything that is missing; touches no hardware.
        """
        self._lifecycle.resolve()

    def boot(self) -> None:
        """Start devices, processes, interfaces, then services. Booting twice does nothing.

        Raises BootError with everything that failed, after stopping again what had started.
        """
        self._lifecycle.boot()

    def drain(self, timeout_s: float = 30.0) -> bool:
        """Take on no more commands, and finish those that run and what waits in the turn queue.

        Returns whether that was done within `timeout_s` seconds; inside a handler, which cannot
        wait for itself, False. Events, effects and services go on until the `shutdown`, which is
        still to be called. Raises LifecycleError unless the runtime is running.
        """
        return self._lifecycle.drain(timeout_s)

    def shutdown(self, reason: str = "requested") -> None:
        """Make the outputs safe, then stop everything, in reverse, within the limit.

        May be called from any thread, at any time and repeatedly. Inside a handler or a
        service it returns at once and the shutdown goes on beside it.
        """
        self._lifecycle.shutdown(reason)

    def run(self) -> None:
        """Boot and wait until something shuts the runtime down; Ctrl-C does."""
        self.boot()
        self.wait_until_stopped()

    def wait_until_stopped(self) -> None:
        """Wait until something has shut the runtime down; Ctrl-C does."""
        try:
            self._lifecycle.stopped.wait()
        except BaseException as error:
            self.shutdown(type(error).__name__)
            raise

    def emit(self, payload: Message, source: str = "", correlation: str | None = None) -> None:
        """Give a message its place in the order and take it to its handlers.

        Returns after the handlers have run, unless turns are being run already: then it returns
        at once and they run in their turn. A chain of 1000 messages, each emitted while the one
        before it is handled, counts as a feedback loop and is cut. See `edgekernel.core.turns`.
        With a `correlation` the event, and what follows from it, has that id.
        """
        routes = self.routes
        try:
            plan = routes.plans[type(payload)]
        except KeyError:
            plan = self._plan(payload)
        # What follows is `event_turn`, in place: this is where every message passes.
        event = EventTurn()
        wall, monotonic = routes.time_ns, routes.monotonic_ns
        event.time_ns = wall()
        event.monotonic_ns = now_ns = monotonic()
        event.source = source or self.name
        event.payload = payload
        event.cause = event._cause = None
        event.correlation = correlation
        event._plan = plan
        self.turns.submit_one(event, _step_event, now_ns)

    def post(self, payload: Message, source: str = "") -> None:
        """Give a message its place in the order and return at once.

        Its handlers run in the dispatcher thread: for threads that no handler may keep.
        """
        self.turns.submit_elsewhere(self.event(payload, source))

    def subscribe(
        self, message_class: type[Message], handler: Callable[[Event], object]
    ) -> Subscription:
        """Call `handler` for each event of a message class, after all parts, until cancelled.

        Raises TypeError for what is no message class or cannot be called with an event.
        """
        if not (isinstance(message_class, type) and issubclass(message_class, Message)):
            raise TypeError(f"subscribe() is given a message class, not {message_class!r}")
        if not callable(handler) or is_async(handler):
            raise TypeError(
                f"subscribe() is given a function that is called as a turn, not {handler!r}; one "
                "that is `async` would never run"
            )
        label = getattr(handler, "__qualname__", repr(handler))
        rank, control = Rank.SUBSCRIBER, Control()
        route = self.routes.add(rank, message_class, label, label, handler, control)
        return Subscription(self.routes, route)

    def invoke(
        self,
        name: str,
        args: Mapping[str, Any] | None = None,
        principal: str = "",
        timeout: float | None = None,
        *,
        target: str = "",
        key: str = "",
        dry_run: bool = False,
    ) -> Any:
        """Carry out the command `component.command` and return its result.

        The limit is the shorter of `timeout` and the command's own, in seconds, and 30 s if there
        is neither; `math.inf` is none. When it is over, a command that has not begun never runs,
        one on the event loop is cancelled, any other goes on and its result is dropped. Inside a
        turn, a command that is a turn runs at once and without a limit.

        `target` picks one of several instances of a component. A request with the `key` of an
        earlier one of its principal is not carried out again: it has the result of that one. With
        `dry_run` everything is checked, and what would be called is returned.

        Raises RefusedError (unknown, invalid, forbidden, unavailable, rate_limited, timeout), what
        the command itself raises, and LifecycleError unless the runtime is running, and where
        nobody may wait: see `invoke_nowait`.
        """
        self._check_running(name)
        given = _arguments(name, args)
        request = Request(name, given, principal, target, key, timeout, dry_run)
        return self.commands.call(request)

    def invoke_nowait(
        self,
        name: str,
        args: Mapping[str, Any] | None = None,
        principal: str = "",
        timeout: float | None = None,
        *,
        target: str = "",
        key: str = "",
    ) -> Call:
        """Begin to carry out a command and return at once, even if it is refused.

        The call's `result()` says what has come of it; a coroutine awaits its `wait()`.
        What fails and is not waited for is among the dead letters. See `invoke`.
        """
        self._check_running(name)
        given = _arguments(name, args)
        return self.commands.start(Request(name, given, principal, target, key, timeout))

    def _check_running(self, name: str) -> None:
        if not self.phase.booted:
            raise LifecycleError(f"{name}: the runtime is {self.phase}; commands need it running")

    @property
    def kinds(self) -> dict[str, KindNote]:
        """The data schemas that active parts bring, by name."""
        return {each.name: each for unit in self._active() for each in unit.meta.kinds}

    @property
    def skills(self) -> dict[str, SkillNote]:
        """The knowledge that active parts bring, by name."""
        return {each.name: each for unit in self._active() for each in unit.meta.skills}

    def _active(self) -> list[Unit]:
        return list(self._lifecycle.parts.in_state(UnitState.ACTIVE))

    def status(self) -> dict[str, Any]:
        """Return the state of the runtime and of every part, ready for JSON."""
        from edgekernel.core.reporting import describe_devices, describe_units

        degraded = list(self._lifecycle.caretaker.missing)
        running = self.phase is Phase.RUNNING
        return {
            "name": self.name,
            "state": "degraded" if running and degraded else str(self.phase),
            "degraded": degraded,
            "uptime_s": self.clock.uptime(),
            "events": self.routes.seq,
            "waiting_turns": self.turns.depth,
            "cut_turns": self.turns.cut_turns,
            "dropped_turns": self.turns.dropped_turns,
            "errors": self.faults.count,
            "held_back": self.faults.held_back,
            "devices": describe_devices(self.devices, self.clock.monotonic_ns()),
            "services": self.services.statuses(),
            "commands": self.commands.status(),
            "components": describe_units(
                self._lifecycle.parts.units.values(), self.traits, self.registry
            ),
        }

    def health(self, limit_s: float = 1.0) -> dict[str, Any]:
        """Ask every active part how it is; ready for JSON.

        `healthy` is True when no part is missing, none says otherwise, and no `problems` keep the
        runtime from going on. A part's `@lifecycle.health` method runs as a turn, an `async` one on
        the event loop, with `limit_s` to answer. A service that hangs or has given up is unhealthy.
        """
        from edgekernel.core.reporting import ask_health

        missing = self._lifecycle.caretaker.missing_units
        parts = ask_health(self._active(), missing, self.turns, limit_s)
        problems = self.services.watchdog.problems()
        sound = not problems and all(each["healthy"] for each in parts.values())
        healthy, state = sound and self.phase is Phase.RUNNING, self.status()["state"]
        return {"healthy": healthy, "state": state, "problems": problems, "parts": parts}

    def __enter__(self) -> Self:
        self.boot()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown("done" if error is None else describe(error)[0])

    def held_safe(self, error: BaseException) -> bool:
        """Say whether an effect was refused an output that is held safe for the moment."""
        if not isinstance(error, HeldSafeError):
            return False
        exchanged = (unit.name for unit in self._lifecycle.parts.held_back)
        stopping = self.phase is Phase.STOPPING
        return error.expected or stopping or error.device in exchanged

    def _tell(self, payload: Message) -> None:
        """Emit without keeping the caller for the handlers."""
        if self.turns.inside():
            self.emit(payload)
        else:
            self.turns.submit_elsewhere(self.event(payload))

    def event(self, payload: Message, source: str = "") -> EventTurn:
        """Return what takes a message to its handlers, to be submitted as a turn."""
        return event_turn(self._plan(payload), payload, source or self.name)

    def _plan(self, payload: Message) -> Plan:
        if not isinstance(payload, Message):
            raise TypeError(f"what is emitted is a message, not {payload!r}")
        return self.routes.find(type(payload))


def _arguments(name: str, args: Mapping[str, Any] | None) -> dict[str, Any]:
    if args is not None and not isinstance(args, Mapping):
        raise InvalidValueError(f"{name}: the arguments are values by name, not {args!r}")
    return dict(args or {})
