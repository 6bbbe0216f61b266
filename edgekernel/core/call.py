"""Call: one request for a command, from the moment it is made to what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from edgekernel.core.clock import NANOSECONDS, Clock, EventLike
from edgekernel.core.commands import Command
from edgekernel.core.errors import RefusedError, TurnTimeoutError, UnavailableError, describe
from edgekernel.core.masking import brief, masked, scrubbed
from edgekernel.core.record import dataclass
from edgekernel.core.tasks import Task

if TYPE_CHECKING:
    from edgekernel.core.control import Holder


@dataclass(frozen=True, slots=True)
class Request:
    """Which command is to be carried out, for whom, and how; see `Runtime.invoke`."""

    name: str
    args: Mapping[str, Any]
    principal: str = ""
    target: str = ""
    key: str = ""
    timeout_s: float | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Invocation:
    """The record of a request: who asked for what, when, and what came of it.

    `id` counts up, `cause` is the id of the command that asked, or None. `code` is "ok",
    "failed", "dry_run", "repeated" or that of the refusal. Secrets are masked.
    """

    id: int
    cause: int | None
    time_ns: int
    principal: str
    command: str
    target: str
    args: Mapping[str, Any]
    code: str
    error: str
    duration_s: float


class CallOwner(Protocol):
    """Who carries calls out and keeps the books."""

    def settled(self, call: Call) -> None: ...
    def check_waiting(self, name: str) -> None: ...
    def failed(self, label: str, error: BaseException) -> None: ...


class CallWitness(Protocol):
    """Who is told of every call: quickly, from any thread, and before its caller goes on."""

    def begins(self, call: Call) -> None:
        """The call has passed every check and is about to be carried out."""
        ...

    def ended(self, call: Call) -> None:
        """The call has come to its end, whether or not it began."""
        ...

    def output_set(self, output: str, value: object, principal: str) -> None:
        """An output is about to be set from outside, without a command."""
        ...


class Call:
    """A request on its way. Its `result()` waits for the end; a coroutine awaits `wait()`."""

    def __init__(self, owner: CallOwner, clock: Clock, id: int, request: Request) -> None:
        self._owner = owner
        self._clock = clock
        self._lock = threading.Lock()  # around the moments at which it begins and is settled
        self._done: EventLike = clock.Event()
        self._waiting: list[Callable[[Call], object]] = []
        self._settled = False
        self._since_ns = clock.monotonic_ns()
        self._time_ns = clock.time_ns()
        self.id = id
        self.cause: int | None = None
        self.request = request
        self.principals: tuple[str, ...] = (request.principal,)
        kind, _, component = request.principal.partition(":")
        self.caller = component if kind == "component" else ""
        self.command: Command | None = None
        self.make: Callable[[], Any] | None = None
        self.task: Task | None = None
        self.limit_s: float | None = None
        self.begun = False
        self.repeated = False
        self.took_s = 0.0
        self.value: Any = None
        self.error: BaseException | None = None
        self._holder: Holder | None = None
        self._over = False  # what its command has left running is its part's

    @property
    def holder(self) -> Holder | None:
        """Who sets what its command sets."""
        if self._holder is None and self.command is not None and self.command.control is not None:
            from edgekernel.core.control import ITSELF, Holder  # which has to know calls

            self._holder = Holder(self.command.control, ITSELF if self._over else self.id)
        return self._holder

    def over(self, *, well: bool, report: Callable[[str, BaseException], object]) -> None:
        """Hear that its command has ended: what it has set falls back, unless that went well."""
        self._over = True
        if self._holder is not None:
            self._holder.end(f"command {self.name}", report, well=well)

    @property
    def name(self) -> str:
        """The exact name of the command; what was asked for if there is none."""
        return self.command.name if self.command is not None else brief(self.request.name, 200)

    @property
    def done(self) -> bool:
        """Whether it has come to an end, for its caller at least."""
        return self._settled

    @property
    def refused(self) -> bool:
        """Whether it has ended with nothing done."""
        return self.error is not None and not self.begun and not self.repeated

    @property
    def begun_s(self) -> float:
        """When the request was made, in seconds on the monotonic clock."""
        return self._since_ns / NANOSECONDS

    def result(self) -> Any:
        """Wait for the end and return the result; raises what was refused or has failed.

        Raises LifecycleError where nobody may wait: inside a turn and on the event loop.
        """
        if not self._settled:
            self._owner.check_waiting(self.name)
            try:
                in_time = self._done.wait(self._left_s())
            except BaseException:  # such as Ctrl-C
                self.give_up(UnavailableError(f"{self.name}: nobody waits for it any more"))
                raise
            if not in_time:
                self.expire()
        self._done.wait()  # at most for those who keep the books
        if self.error is not None:
            raise self.error
        return self.value

    async def wait(self) -> Any:
        """Wait for the end in a coroutine; returns and raises what `result` does."""
        import asyncio

        loop = asyncio.get_running_loop()
        over = asyncio.Event()

        def tell(call: Call) -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile, and its coroutines
                loop.call_soon_threadsafe(over.set)

        self.when_done(tell)
        await over.wait()
        return self.result()

    def when_done(self, told: Callable[[Call], object]) -> None:
        """Call `told` with this call at its end; at once if it has ended. It must be quick."""
        with self._lock:
            if not self._done.is_set():
                self._waiting.append(told)
                return
        self._tell(told)

    def begin(self) -> bool:
        """Take note that the command is about to run; False if it must not any more."""
        with self._lock:
            self.begun = not self._settled
            return self.begun

    def settle(
        self, value: Any = None, error: BaseException | None = None, *, unless_begun: bool = False
    ) -> bool:
        """End the call with a result or an error; False if it has ended before."""
        with self._lock:
            if self._settled or (unless_begun and self.begun):
                return False
            self._settled = True
        self.value, self.error = value, error
        self.took_s = (self._clock.monotonic_ns() - self._since_ns) / NANOSECONDS
        try:
            self._owner.settled(self)
        finally:
            with self._lock:
                self._done.set()
                waiting, self._waiting = self._waiting, []
            for told in waiting:
                self._tell(told)
        return True

    def expire(self) -> None:
        """End the call because its time is over: not begun, the command never runs."""
        text = f"command {self.name}: not done within {self.limit_s} s"
        self.give_up(TurnTimeoutError(text))

    def give_up(self, error: RefusedError, *, unless_begun: bool = False) -> None:
        """End the call with a refusal; what runs on the event loop is cancelled."""
        if self.settle(error=error, unless_begun=unless_begun) and self.task is not None:
            self.task.cancel()

    def run_by(self, task: Task) -> None:
        """Take note of what runs it on the event loop."""
        self.task = task
        if self._settled:  # given up meanwhile
            task.cancel()

    def hide(self, text: str) -> str:
        """Return a text without the secrets among the arguments."""
        secret = self.command.secret if self.command is not None else ()
        return scrubbed(text, self.request.args, secret)

    def record(self) -> Invocation:
        """Return what the audit keeps."""
        request = self.request
        secret = self.command.secret if self.command is not None else ()
        return Invocation(
            self.id, self.cause, self._time_ns, request.principal, self.name, request.target,
            masked(request.args, secret), self.code, self.failure, self.took_s,
        )  # fmt: skip

    @property
    def code(self) -> str:
        """What came of it, in a word."""
        if self.repeated:
            return "repeated"
        if self.error is None:
            return "dry_run" if self.request.dry_run else "ok"
        return self.error.code if isinstance(self.error, RefusedError) else "failed"

    @property
    def failure(self) -> str:
        """Why it failed or was refused, without secrets; "" if it did not."""
        if self.error is None:
            return ""
        text = str(self.error) if isinstance(self.error, RefusedError) else describe(self.error)[0]
        return brief(self.hide(text))

    def _tell(self, told: Callable[[Call], object]) -> None:
        try:
            told(self)
        except Exception as error:
            self._owner.failed(f"what was to be told of {self.name}", error)

    def _left_s(self) -> float | None:
        if self.limit_s is None:
            return None
        passed_s = (self._clock.monotonic_ns() - self._since_ns) / NANOSECONDS
        return max(0.0, self.limit_s - passed_s)


running: ContextVar[Call | None] = ContextVar("edgekernel_call", default=None)
"""The call whose command runs here."""
