"""A unit: one component instance in a runtime, from its registration to its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from enum import IntEnum, StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from edgekernel.core import control, message
from edgekernel.core.commands import Command
from edgekernel.core.component import Activation, describe_class, handlers
from edgekernel.core.context import Context, Host
from edgekernel.core.control import Control, Holder
from edgekernel.core.device import Device
from edgekernel.core.effect import Effect, collecting
from edgekernel.core.errors import ConfigError, TurnTimeoutError, of_user_code
from edgekernel.core.injection import Injection, Requirement, inject, release
from edgekernel.core.interface import Interface
from edgekernel.core.markers import hook
from edgekernel.core.messages import Message
from edgekernel.core.ownership import give_back, refuse_owned, take
from edgekernel.core.process import Process
from edgekernel.core.provider import Consumer, Provider
from edgekernel.core.role import Role
from edgekernel.core.routes import Rank, Route
from edgekernel.core.service import Service
from edgekernel.core.telling import Failures
from edgekernel.core.turns import current_component

if TYPE_CHECKING:
    from edgekernel.core.backoff import Backoff
    from edgekernel.core.supervised import Supervised

LEAVE_LIMIT_S = 1.0
HOOK_LIMIT_S = 10.0


class Kind(IntEnum):
    """What a part is, in the order of starting."""

    DEVICE = 0
    COMPONENT = 1
    PROCESS = 2
    INTERFACE = 3
    SERVICE = 4


class UnitState(StrEnum):
    """Where one part is in its life."""

    REGISTERED = "registered"
    WAITING = "waiting"
    STARTING = "starting"
    ACTIVE = "active"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


_KINDS: dict[type, Kind] = {
    Device: Kind.DEVICE,
    Process: Kind.PROCESS,
    Interface: Kind.INTERFACE,
    Service: Kind.SERVICE,
}
_RANKS = {Kind.INTERFACE: Rank.INTERFACE, Kind.SERVICE: Rank.SERVICE}
_STARTED: dict[Kind, Callable[[str], Message]] = {
    Kind.COMPONENT: message.ComponentStarted,
    Kind.PROCESS: message.ProcessStarted,
    Kind.INTERFACE: message.InterfaceStarted,
}
_STOPPED: dict[Kind, Callable[[str], Message]] = {
    Kind.COMPONENT: message.ComponentStopped,
    Kind.PROCESS: message.ProcessStopped,
    Kind.INTERFACE: message.InterfaceStopped,
}


class Unit:
    """One part with what the runtime keeps of it: its routes, commands, effects, its state."""

    def __init__(
        self,
        host: Host,
        part: Any,
        name: str,
        *,
        properties: Mapping[str, object] | None = None,
        optional: bool = False,
        parent: str = "",
    ) -> None:
        refuse_owned(part, name)
        if not type(part).__dictoffset__:  # to look at its dict makes its attributes slower
            raise ConfigError(f"{name}: {type(part).__name__} has only __slots__; add __dict__")
        self.part = part
        self.name = name
        self.parent = parent
        self.meta = meta = describe_class(type(part))
        base = next((cls for cls in _KINDS if isinstance(part, cls)), object)
        self.kind = _KINDS.get(base, Kind.COMPONENT)
        names = [r.name for r in meta.requirements] + [p.name for p in meta.properties]
        for hidden in (each for each in names if hasattr(base, each)):
            raise ConfigError(
                f"{name}.{hidden} hides what every {base.__name__.lower()} has; call it "
                "something else"
            )
        self.optional = optional or meta.optional
        self.depends: tuple[str, ...] = meta.depends
        if isinstance(part, Device | Role):
            self.depends = (*meta.depends, *part.depends)
        self.requirements = [r for r in meta.requirements if r.name not in part.__dict__]
        self.state = UnitState.REGISTERED
        self.error = ""
        self.attempts = 0
        self.backoff: Backoff | None = None
        self.failures = Failures()
        self.started_ns: int | None = None
        self.retry_ns: int | None = None
        self.supervised: Supervised | None = None
        self.context = Context(host, name)
        self._host = host
        self._injections: list[Injection] = []
        self._routes: list[Route] = []
        self._commands: list[Command] = []
        self._activation: Activation | None = None
        self._made: list[Effect] = []
        self._fallbacks: deque[Callable[[], object]] = deque()  # of who has gone
        self.control: Control | None = None if self.kind is Kind.INTERFACE else Control()
        """What its own code has set. An interface sets what others have asked for."""
        self.holder: Holder | None = None if self.control is None else Holder(self.control)
        """Its own thread, in that."""
        self._begun = self._ending = False
        self.provider = Provider(
            name, part, meta.contracts,
            properties=properties,
            declared={each.key: each.signal(part) for each in meta.properties},
            factory=getattr(part, meta.factory) if meta.factory else None,
        )  # fmt: skip

    @property
    def is_device(self) -> bool:
        """Whether the part is hardware."""
        return self.kind is Kind.DEVICE

    @property
    def is_service(self) -> bool:
        """Whether the part ticks on a thread."""
        return self.kind is Kind.SERVICE

    def available(self, requirement: Requirement) -> list[Provider]:
        """Return who provides it at the moment, the best first."""
        found = self._host.registry.providers(requirement.contract, requirement.where)
        return [each for each in found if each.instance is not self.part]

    def unmet(self) -> list[str]:
        """Return what it cannot do without and nobody provides at the moment."""
        missing = [name for name in self.depends if not self._host.registry.has(name)]
        missing += [str(each) for each in self.requirements
                    if not each.optional and not self.available(each)]  # fmt: skip
        return missing

    def misses(self, lost: Collection[Unit]) -> bool:
        """Say whether it is active and cannot go on without these units."""
        if self.state is not UnitState.ACTIVE:
            return False
        if any(unit.name in self.depends for unit in lost):
            return True
        gone = {unit.provider for unit in lost}
        for each in self.requirements:
            if not each.optional and not set(self.available(each)) - gone:
                return True
        return False

    def attach(self) -> None:
        """Bring it into the runtime: what it requires is there; a device is connected.

        Raises LifecycleError, with nothing changed, if another runtime has the part.
        """
        take(self.part, self.context)
        if self.control is not None:
            self.control.set_closed(False)
        self._begun = False
        self.state = UnitState.STARTING
        consumer = Consumer(self.name, self.meta.qualified_name)
        self._injections = inject(self.part, self._host.registry, consumer)
        self._host.registry.uses(self.name, self._injections)
        if isinstance(self.part, Device | Role):
            self.part.attach(self.context)
        else:
            object.__setattr__(self.part, "ctx", self.context)  # so in a frozen dataclass too

    def begin(self) -> None:
        """Start it; effects that it makes meanwhile end with it."""
        self._host.turns.within(self._begin)

    def _begin(self) -> None:
        current_component.set(self.name)
        control.current.set(self.holder)
        self._begun = True
        with collecting(self._made):
            if isinstance(self.part, Role):
                self.part.start(self.context)
            self._call_hook("activate")

    def enter(self) -> None:
        """Let handlers, effects and commands be called from now on."""
        self._host.turns.call(self.enter_now, f"start of {self.name}")

    def enter_now(self) -> None:
        """Do what `enter` does, as part of a turn that runs already."""
        part, context = self.part, self.context
        self._activation = Activation(part, self.name, self._effect_failed)
        self.fall_back(but=self.fallbacks())  # what is not driven again
        if isinstance(part, Role) and type(part).handle_event is not Role.handle_event:
            self._route(Message, "handle_event", partial(part.handle_event, context))
        for wanted, handler in handlers(part):
            self._route(wanted, handler.__name__, handler)
        self._commands = self._host.commands.add(
            self.name,
            part,
            factory=self.meta.name,
            properties=lambda: self.provider.properties,
            control=self.control,
        )

    def present(self) -> None:
        """Say that it is there: to those who require it, and in a message."""
        self._host.registry.exchange(None, self.provider)
        self.arrived()

    def arrived(self) -> None:
        """Note that it is active, and say so."""
        self.state, self.error, self.retry_ns = UnitState.ACTIVE, "", None
        self.started_ns = self._host.clock.monotonic_ns()
        if self.kind in _STARTED:
            self.context.emit(_STARTED[self.kind](self.name))

    def withdraw(self) -> None:
        """Let nobody be given it any more."""
        self._host.registry.withdraw(self.provider)

    def leave(self, limit_s: float = LEAVE_LIMIT_S, *, ahead: bool = False) -> None:
        """Let nothing of it be called any more; wait for a handler that runs, but not for ever.

        What was emitted before comes first, unless it goes `ahead`, or that takes longer than half
        of `limit_s` seconds: then it waits only for the turn that runs.
        """
        ways = (True,) if ahead else (False, True)
        for each in ways:
            share_s = limit_s / len(ways)
            try:
                self._host.turns.call(self.leave_now, f"end of {self.name}", share_s, ahead=each)
            except TurnTimeoutError:
                continue
            return
        self.leave_now()

    def leave_now(self) -> None:
        """Do what `leave` does, as part of a turn that runs already."""
        self.fall_silent()
        made, self._made = self._made, []
        for effect in reversed(made):
            self._fallbacks += effect.fallbacks()
            effect.dispose()

    def fall_silent(self) -> None:
        """Take handlers, commands, computeds and effects down, so that `enter_now` may follow."""
        self._host.routes.remove(*self._routes)
        self._host.commands.remove(self._commands)
        self._routes, self._commands = [], []
        if self._activation is not None:
            self._fallbacks += self._activation.fallbacks()
            self._activation.close()
            self._activation = None

    def fallbacks(self) -> list[Callable[[], object]]:
        """Return what is called if its effects fail."""
        made = [each for effect in self._made for each in effect.fallbacks()]
        return made if self._activation is None else [*self._activation.fallbacks(), *made]

    def drive_again(self) -> None:
        """Let its effects run once more: another one has set what they drive."""
        made = [] if self._activation is None else self._activation.effects
        for effect in (*made, *self._made):
            effect.run()

    def lose_control(self) -> None:
        """Let `fall_back` count what its handlers, commands and ticks have set."""
        if self.control is not None:
            self._fallbacks += self.control.take_all()

    def let_go(self, *, gone: bool = False) -> None:
        """Let fall back whatever it has set; when it has gone, also what is set by its commands
        that go on."""
        if gone and self.control is not None:
            self.control.set_closed(True)
        self.lose_control()
        self.fall_back()

    def fall_back(self, but: Collection[Callable[[], object]] = ()) -> bool:
        """Let the outputs fall back that were set by who has gone; `but` those that others drive
        in their place. Return whether there were any."""
        fallbacks: dict[Callable[[], object], None] = {}
        with suppress(IndexError):  # others may add some, or take them, meanwhile
            while True:
                fallbacks[self._fallbacks.popleft()] = None
        left = [each for each in fallbacks if each not in but]
        control.call_each(left, f"fallback of {self.name}", self._host.turns.failed)
        return bool(fallbacks)

    def end(self) -> None:
        """Stop the part, detach it and take back what it was given; every step is tried."""
        errors: list[BaseException] = []
        steps: list[Callable[[], object]] = []
        # What has not begun, as a shutdown has come in between, is not stopped.
        if self._begun and not self.is_service:  # its supervisor does this at the end of each run
            steps.append(self.deactivate)
            if isinstance(self.part, Role):
                steps.append(lambda: self.part.stop(self.context))
        if isinstance(self.part, Device | Role):
            steps.append(self.part.detach)
        self._ending = True
        for step in steps:
            try:
                step()
            except BaseException as error:
                errors.append(of_user_code(error))
        self._ending = False
        self.unbind()
        if errors:
            raise errors[0] if len(errors) == 1 else BaseExceptionGroup(self.name, errors)

    def deactivate(self) -> None:
        """Call its `@lifecycle.deactivate` method; what that raises is raised."""
        self._call_hook("deactivate")

    def unbind(self) -> None:
        """Take back what was injected; the part belongs to nobody then, unless its end hangs."""
        release(self.part, self._injections)
        self._host.registry.released(self.name, self._injections)
        self._injections = []
        if self._ending or not give_back(self.part, self.context):
            return
        if not isinstance(self.part, Device | Role):
            vars(self.part).pop("ctx", None)

    def gone(self) -> None:
        """Say that it has stopped, if it had started."""
        if self.started_ns is not None and self.kind in _STOPPED:
            self.context.emit(_STOPPED[self.kind](self.name))

    def _call_hook(self, step: str) -> None:
        method = hook(self.part, step)
        if method is not None:
            call_hook(method, self.context)

    def _effect_failed(self, label: str, error: Exception) -> None:
        self._host.turns.failed(f"effect {label}", error)
        self._host.fault(self.name, error)

    def _route(self, wanted: type[Message] | str, name: str, call: Callable[..., object]) -> None:
        rank = _RANKS.get(self.kind, Rank.PROCESS)
        route = self._host.routes.add(
            rank, wanted, self.name, f"{self.name}.{name}", call, self.control
        )
        self._routes.append(route)

    def __repr__(self) -> str:
        return f"<Unit {self.name} {self.state}>"


def call_hook(
    method: Callable[..., Any], context: Context, *args: object, limit_s: float = HOOK_LIMIT_S
) -> Any:
    """Call a hook that takes its arguments, and after them the context if it wants that.

    One that is `async` runs on the event loop and is waited for, at most `limit_s` seconds.
    """
    answer = method(*args, context) if _wants_more(method, len(args)) else method(*args)
    if not isinstance(answer, Coroutine):
        return answer
    label = f"{context.source}.{method.__name__}"
    return context.runtime.tasks.run(answer, limit_s, label)


def _wants_more(method: Callable[..., Any], given: int) -> bool:
    """Say whether a method needs one more argument than these, or has one called ctx.

    As `inspect.signature` would, whose import takes longer than to start a small node's parts.
    """
    function: Any = getattr(method, "__func__", method)
    at = given + (function is not method)  # bound: self comes first
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    if code is None or at >= code.co_argcount:
        return False
    optional = len(function.__defaults__ or ())
    return bool(at < code.co_argcount - optional or code.co_varnames[at] == "ctx")
