"""Invocation: the one way to a command, from its name to the record of what came of it.

Every request goes the same way, whoever makes it: name, policy, authorization, arguments, key,
rate; only then does the command run, as a turn, on a worker thread or on the event loop.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any

from edgekernel.core.books import Books
from edgekernel.core.call import Call, CallWitness, Invocation, Request, running
from edgekernel.core.carrier import Carrier
from edgekernel.core.clock import Clock, EventLike
from edgekernel.core.commands import Authorizer, Binder, Command, CommandTable
from edgekernel.core.deadlines import Deadlines
from edgekernel.core.effect import running_effect
from edgekernel.core.errors import (
    ForbiddenError,
    InvalidValueError,
    LifecycleError,
    UnavailableError,
)
from edgekernel.core.limits import Rates
from edgekernel.core.masking import masked
from edgekernel.core.messages import Message
from edgekernel.core.policy import Policies
from edgekernel.core.repeats import Repeats
from edgekernel.core.tasks import Tasks
from edgekernel.core.turns import TurnQueue, current_component

DEFAULT_LIMIT_S = 30.0
MAX_IN_FLIGHT = 1000
"""Calls that may be on their way at the same time; the next one is refused."""
_LONGEST_S = 1e9


class Commands(CommandTable):
    """The commands of a runtime, how they are called, and the books about it.

    `audit` holds the records of the latest 1000 requests, `dead_letters` of the latest 200 that
    reached nobody, failed or were not done in time. Without an authorizer nobody has a role.
    `witness`, if there is one, is told of every call.
    """

    def __init__(
        self,
        clock: Clock,
        turns: TurnQueue,
        tasks: Tasks,
        tell: Callable[[Message], object],
        crashed: Callable[[str, BaseException], object],
        *,
        binder: Binder,
        authorizer: Authorizer | None,
        name: str,
    ) -> None:
        """Have no commands yet; `tell` emits a message without keeping the caller.

        `crashed` is told the part and the error of a command that has failed unexpectedly.
        """
        super().__init__()
        self._clock = clock
        self._turns = turns
        self._tasks = tasks
        self._binder = binder
        self._authorizer = authorizer
        self._carrier = Carrier(clock, turns, tasks, name)
        self._deadlines = Deadlines(clock, f"{name}:deadlines")
        self._repeats = Repeats(clock)
        self._rates = Rates(clock)
        self._books = Books(tell)
        self._crashed = crashed
        self._ids = count(1)
        self._lock = threading.Lock()
        self._on_their_way: dict[Call, None] = {}
        self._idle: EventLike = clock.Event()
        self._idle.set()
        self._refusal = ""
        self.witness: CallWitness | None = None
        self._needs: dict[str, tuple[Callable[[str], object], ...]] = {}
        self.policies = Policies()
        self.audit: deque[Invocation] = self._books.audit
        self.dead_letters: deque[Invocation] = self._books.dead_letters

    def call(self, request: Request) -> Any:
        """Carry out a request and return its result; see `Runtime.invoke`."""
        return self._begun(request, waits=True).result()

    def start(self, request: Request) -> Call:
        """Begin to carry out a request; a refusal, too, is told by the call that is returned."""
        call = self._begun(request, waits=False)
        self._deadlines.add(call)
        return call

    @property
    def in_flight(self) -> int:
        """How many calls are on their way."""
        return len(self._on_their_way)

    def require(self, name: str, check: Callable[[str], object]) -> None:
        """Carry a command out only if `check`, given what is wanted, raises no refusal."""
        self._needs[name] = (*self._needs.get(name, ()), check)

    def refuse(self, reason: str) -> None:
        """Refuse new calls for this reason from now on, or with "" accept them again.

        What a call that is on its way asks for is not new.
        """
        self._refusal = reason

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until no call is on its way; False if that took too long, or inside a turn."""
        return self._idle.is_set() or (not self._turns.inside() and self._idle.wait(timeout_s))

    def graph(self) -> dict[str, Any]:
        """Return how often, by whom and how long commands were called, ready for JSON."""
        return self._books.graph.report()

    def reset_graph(self) -> None:
        """Begin to count calls anew."""
        self._books.graph.reset()

    def status(self) -> dict[str, Any]:
        """Return what an operator wants to know, ready for JSON."""
        dead = len(self.dead_letters)
        return {"in_flight": self.in_flight, "dead_letters": dead, **self.graph()}

    def remove(self, commands: Iterable[Command]) -> None:
        """Take commands out: what waits for them is refused, their coroutines are cancelled.

        What has begun as a turn or on a worker thread goes on to its end.
        """
        gone = list(commands)
        super().remove(gone)
        for call in self._calls():
            if call.command in gone:
                refusal = UnavailableError(f"{call.name}: its component has stopped")
                call.give_up(refusal, unless_begun=call.command.runs_on != "loop")

    def close(self) -> None:
        """End everything that is on its way, and the threads; nothing is carried out after it."""
        self.refuse("the runtime has stopped")
        for call in self._calls():
            call.give_up(UnavailableError(f"{call.name}: the runtime has stopped"))
        self._carrier.close()
        self._deadlines.close()

    def check_waiting(self, name: str, *, at_once: bool = False) -> None:
        """Raise LifecycleError if the caller must not wait for a command."""
        if self._tasks.inside():
            raise LifecycleError(
                f"{name}: waiting for it here would stop the event loop; "
                "use `await ctx.invoke_nowait(...).wait()`"
            )
        if self._turns.inside() and not at_once:
            raise LifecycleError(
                f"{name}: waiting for it here would stop all handlers, since it does not run as "
                "a turn; use `ctx.invoke_nowait(...)`"
            )

    def settled(self, call: Call) -> None:
        """Keep the books about a call that has ended, and tell."""
        with self._lock:
            self._on_their_way.pop(call, None)
            if not self._on_their_way:
                self._idle.set()
        if not call.begun:
            self._repeats.forget(call)
        if self.witness is not None:
            self.witness.ended(call)
        self._books.enter(call, self.policies.audits(call.principals))
        unexpected = call.begun and isinstance(call.error, Exception) and not call.refused
        if unexpected and call.command is not None and call.error is not None:
            self._crashed(call.command.owner, call.error)

    def failed(self, label: str, error: BaseException) -> None:
        """Report what nobody else is told."""
        self._turns.failed(label, error)

    def _begun(self, request: Request, waits: bool) -> Call:
        call = Call(self, self._clock, next(self._ids), request)
        try:
            self._identify(call)
            if self._check(call, waits):
                if self.witness is not None:
                    self.witness.begins(call)
                self._carrier.run(call, waits)
        except BaseException as error:
            call.settle(error=error)
            if not isinstance(error, Exception):
                raise
        return call

    def _identify(self, call: Call) -> None:
        """Note who asks, and as which component where that is known; count the call in."""
        cause = running.get()
        component = self._component()
        if cause is not None:
            call.cause, call.caller = cause.id, cause.name
            component = cause.command.owner if cause.command is not None else ""
        call.caller = call.caller or component
        if component and (name := f"component:{component}") not in call.principals:
            call.principals = (*call.principals, name)
        with self._lock:
            refusal = self._refusal if cause is None or cause.done else ""
            if len(self._on_their_way) >= MAX_IN_FLIGHT:
                refusal = f"busy: {MAX_IN_FLIGHT} calls are on their way"
            if not refusal:
                self._on_their_way[call] = None
                self._idle.clear()
        if refusal:
            raise UnavailableError(f"{call.name}: {refusal}")

    def _component(self) -> str:
        """Return the name of the component whose code runs here, "" where that is not known."""
        effect, turn = running_effect(), self._turns.current()
        if effect is not None:
            return effect.name.rpartition(".")[0]
        return turn.component if turn is not None else current_component.get()

    def _check(self, call: Call, waits: bool) -> bool:
        """Say whether a call may run; it has come to its end if not. Raises what is refused."""
        request = call.request
        command = self._found(call)
        call.limit_s = _limit_s(request.timeout_s, command.note.timeout_s)
        self.policies.check(call.principals, command.names, command.note.destructive)
        note, principal = command.note, request.principal
        self.authorize(command.name, principal, role=note.role, action=note.action)
        for check in self._needs.get(command.name, ()):
            check(f"{command.name}: not carried out")
        call.make = self._bind(command, request.args)
        if waits and not request.dry_run:
            self.check_waiting(command.name, at_once=command.runs_on == "turn")
        earlier = self._repeats.earlier(call, remember=not request.dry_run)
        if earlier is None:
            self._rates.take(command.name, command.note.rate_limit, consume=not request.dry_run)
        if request.dry_run:
            call.settle(_described(call, command))
        elif earlier is not None:
            call.repeated = True
            earlier.when_done(lambda first: call.settle(first.value, first.error))
        return earlier is None and not request.dry_run

    def _found(self, call: Call) -> Command:
        while True:
            command = call.command = self.find(call.request.name, call.request.target)
            if self._commands.get(command.name) is command:  # else it was just taken out
                return command

    def authorize(
        self, what: str, principal: str, *, role: str | None, action: str | None = None
    ) -> None:
        """Raise ForbiddenError unless a principal has been granted what a command, or an output
        that is set from outside, needs."""
        for kind, needed in (("role", role), ("action", action)):
            if needed is None:
                continue
            if self._authorizer is None or not self._authorizer(principal, needed):
                raise ForbiddenError(
                    f"{what} needs the {kind} {needed!r}, which "
                    f"{principal or 'nobody'!r} has not been granted"
                )

    def _bind(self, command: Command, args: Mapping[str, Any]) -> Callable[[], Any]:
        try:
            return self._binder(command.method, args)
        except InvalidValueError as error:
            raise InvalidValueError(f"{command.name}: {error}") from None

    def _calls(self) -> list[Call]:
        with self._lock:
            return list(self._on_their_way)


def _limit_s(*limits: float | None) -> float | None:
    """Return the shortest of the limits that are given; None stands for no limit at all."""
    shortest = min((limit for limit in limits if limit is not None), default=DEFAULT_LIMIT_S)
    return shortest if shortest < _LONGEST_S else None


def _described(call: Call, command: Command) -> dict[str, Any]:
    """Return what a call would do, ready for JSON."""
    return {
        "command": command.name,
        "args": masked(call.request.args, command.secret),
        "runs_on": command.runs_on,
        "timeout_s": call.limit_s,
        "destructive": command.note.destructive,
        "role": command.note.role,
        "action": command.note.action,
    }
