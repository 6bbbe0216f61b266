"""Runtime: owns the parts, routes every message, boots in order and stops within a bound."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from edgekernel.core import message
from edgekernel.core.clock import Clock, SystemClock
from edgekernel.core.commands import Authorizer, Binder, CommandTable, bind_by_name
from edgekernel.core.device import Device
from edgekernel.core.errors import HeldSafeError, LifecycleError, UnavailableError, describe
from edgekernel.core.interface import Interface
from edgekernel.core.lifecycle import Lifecycle, State
from edgekernel.core.messages import Event, Message, Severity
from edgekernel.core.process import Process
from edgekernel.core.routes import EventTurn, Rank, Route, RoutingTable
from edgekernel.core.service import Service
from edgekernel.core.turns import TurnQueue

_KEPT_ERRORS = 200
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_STOPPED = 0  # no signal has this number


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscriber's place in the routing; `cancel` gives it up."""

    _table: RoutingTable
    _route: Route

    def cancel(self) -> None:
        """Call the subscriber no more. Cancelling twice is harmless."""
        self._table.remove(self._route)


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """A failure that was kept: when (UTC nanoseconds), where, what, and the traceback."""

    time_ns: int
    where: str
    error: str
    traceback: str


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
        slow_turn_s: float = 0.1,
        shutdown_limit_s: float = 10.0,
    ) -> None:
        """Make a runtime with no parts.

        `binder` checks command arguments; without an `authorizer` every command that needs a
        role is refused. A handler longer than `slow_turn_s` is reported. `shutdown` comes back
        within `shutdown_limit_s` + 4 seconds, whatever hangs: the safe values come first, then
        each part gets a share of the time, 0.05 s at least.
        """
        self.name = name
        self.clock: Clock = clock or SystemClock()
        self.routes = RoutingTable()
        self.commands = CommandTable(binder, authorizer)
        self.turns = TurnQueue(
            self.clock, self, dispatcher=f"{name}:dispatcher", slow_turn_s=slow_turn_s
        )
        self.errors: deque[ErrorRecord] = deque(maxlen=_KEPT_ERRORS)
        self.error_count = 0
        self.held_back = 0
        self._seq = 0
        self._lifecycle = Lifecycle(self, shutdown_limit_s)

    @property
    def state(self) -> State:
        """Where the runtime is between created and stopped."""
        return self._lifecycle.state

    @property
    def devices(self) -> Mapping[str, Device]:
        """The devices by id, in the order of attaching."""
        return self._lifecycle.devices

    @property
    def services(self) -> Mapping[str, Service]:
        """The services by name."""
        return self._lifecycle.services

    def attach_device(self, device: Device) -> None:
        """Add a device; its `connect` runs at boot."""
        self._lifecycle.add(device, device.id)

    def register_process(self, process: Process) -> None:
        """Add a process."""
        self._lifecycle.add(process, process.name)

    def register_interface(self, interface: Interface) -> None:
        """Add an interface."""
        self._lifecycle.add(interface, interface.name)

    def register_service(self, service: Service) -> None:
        """Add a service; its thread starts at the end of the boot."""
        self._lifecycle.add(service, service.name)

    def register(self, part: Device | Process | Interface | Service) -> None:
        """Add a part by its class."""
        name = part.id if isinstance(part, Device) else getattr(part, "name", "")
        self._lifecycle.add(part, name)

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

    def shutdown(self, reason: str = "requested") -> None:
        """Make the outputs safe, then stop everything, in reverse, within the limit.

        May be called from any thread, at any time and repeatedly. Inside a handler or a
        service it returns at once and the shutdown goes on beside it.
        """
        self._lifecycle.shutdown(reason)

    def run(self) -> None:
        """Boot and wait until something shuts the runtime down; Ctrl-C does."""
        self.boot()
        self._wait()

    def _wait(self) -> None:
        try:
            self._lifecycle.stopped.wait()
        except BaseException as error:
            self.shutdown(type(error).__name__)
            raise

    def emit(self, payload: Message, source: str = "") -> None:
        """Give a message its place in the order and take it to its handlers.

        Returns after the handlers have run, unless turns are being run already: then it returns
        at once and they run in their turn. A chain of 1000 messages, each emitted while the one
        before it is handled, counts as a feedback loop and is cut. See `edgekernel.core.turns`.
        """
        self.turns.submit(self._turn(payload, source))

    def subscribe(
        self, message_class: type[Message], handler: Callable[[Event], object]
    ) -> Subscription:
        """Call `handler` for each event of a message class, after all parts, until cancelled."""
        label = getattr(handler, "__qualname__", repr(handler))
        route = self.routes.add(Rank.SUBSCRIBER, message_class, label, label, handler)
        return Subscription(self.routes, route)

    def invoke(
        self,
        name: str,
        args: Mapping[str, Any] | None = None,
        principal: str = "",
        timeout: float | None = 30.0,
    ) -> Any:
        """Carry out the command `component.command` as a turn and return its result.

        `timeout` is in seconds; a command still at work then goes on, and its result is dropped.
        Raises RefusedError (unknown, invalid, forbidden, unavailable, timeout), LifecycleError
        unless the runtime is running, or what the command itself raises.
        """
        if self.state is not State.RUNNING:
            raise LifecycleError(f"{name}: the runtime is {self.state}; commands need it running")
        call = self.commands.prepare(name, args or {}, principal)

        def carry_out() -> Any:
            if not self.commands.has(name):  # its component has stopped while it waited
                raise UnavailableError(f"{name}: its component has stopped")
            return call()

        result = self.turns.call(carry_out, f"command {name}", timeout)
        self.emit(message.CommandInvoked(name, principal))
        return result

    def status(self) -> dict[str, Any]:
        """Return the state of the runtime and of every part, ready for JSON."""
        return {
            "name": self.name,
            "state": str(self.state),
            "uptime_s": self.clock.uptime(),
            "events": self._seq,
            "waiting_turns": self.turns.depth,
            "cut_turns": self.turns.cut_turns,
            "dropped_turns": self.turns.dropped_turns,
            "errors": self.error_count,
            "held_back": self.held_back,
            "devices": {id: {"online": device.online} for id, device in self.devices.items()},
            "services": self._lifecycle.service_status(),
        }

    def __enter__(self) -> Self:
        self.boot()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown("done" if kind is None else f"{kind.__name__}: {error}")

    def next_seq(self) -> int:
        """Return the next sequence number; called by the turn queue under its lock."""
        self._seq += 1
        return self._seq

    def handler_failed(self, route: Route, event: Event, error: Exception | SystemExit) -> None:
        """Report a handler that raised, unless it was handling an error already: that is kept."""
        text, trace = describe(error)
        self._keep(f"{route.label} handling {event.payload.name}", text, trace)
        if event.payload.severity >= Severity.ERROR:
            self._log(route.label, error)
            return
        kinds: dict[Rank, Callable[[str, str, str, str], Message]] = {
            Rank.PROCESS: message.ProcessError,
            Rank.INTERFACE: message.InterfaceError,
            Rank.SERVICE: message.ServiceError,
            Rank.SUBSCRIBER: message.EventSubscriberError,
        }
        self.emit(kinds[route.rank](route.owner, event.payload.name, text, trace))

    def turn_failed(self, label: str, error: BaseException) -> None:
        """Report an effect or another turn that raised."""
        if isinstance(error, HeldSafeError) and self.state is State.STOPPING:
            self.held_back += 1  # an effect was refused an output held safe: that is the purpose
            return
        text, trace = describe(error)
        self._keep(label, text, trace)
        self.emit(message.EffectError(label, text, trace))

    def turn_was_slow(self, label: str, seconds: float) -> None:
        """Report a turn that kept others waiting."""
        if not label.endswith(f"({message.SlowTurn.name})"):  # a slow handler of the report
            self.emit(message.SlowTurn(label, seconds))

    def feedback_cut(self, members: Sequence[str], cut: str) -> None:
        """Report a feedback loop, from outside of it."""
        self._keep("feedback loop", " -> ".join(members), "")
        self.turns.submit_apart(self._turn(message.FeedbackLoop(tuple(members), cut)))

    def turns_dropped(self, dropped: int) -> None:
        """Report that the turn queue is full, once per spell."""
        self._keep("turn queue", f"full: {dropped} turns dropped so far", "")
        self.turns.submit_apart(self._turn(message.TurnsDropped(dropped)))

    def _turn(self, payload: Message, source: str = "") -> EventTurn:
        clock = self.clock
        return EventTurn(self, payload, source or self.name, clock.time_ns(), clock.monotonic())

    def _keep(self, where: str, text: str, trace: str) -> None:
        self.error_count += 1
        self.errors.append(ErrorRecord(self.clock.time_ns(), where, text, trace))

    @staticmethod
    def _log(where: str, error: BaseException) -> None:
        import logging  # costs 12 ms: only where something has gone wrong

        logging.getLogger("edgekernel").error(
            "%s failed while handling an error", where, exc_info=error
        )


class ThreadedRuntime(Runtime):
    """A runtime whose life runs on a thread of its own, beside the caller's."""

    def start(self) -> None:
        """Boot on a thread of its own and return when booted; raises what `boot` raises."""
        failure: list[Exception] = []
        booted = self.clock.Event()

        def live() -> None:
            try:
                self.boot()
            except Exception as error:
                failure.append(error)
            booted.set()
            if not failure:
                self._lifecycle.stopped.wait()

        self.clock.Thread(live, f"{self.name}:runtime").start()
        booted.wait()
        if failure:
            raise failure[0]

    def run(self) -> None:
        """Start, and block until something shuts the runtime down; Ctrl-C does."""
        self.start()
        self._wait()


class SignalRuntime(Runtime):
    """A runtime for a program of its own: POSIX signals become shutdown and messages.

    SIGINT and SIGTERM shut down, a second one is harmless; SIGHUP is the message SystemReload,
    SIGUSR1 and SIGUSR2 are SystemSignal with action "user1" and "user2". `run` must be called
    in the main thread.
    """

    def run(self) -> None:
        """Boot, and serve signals from the first moment until the shutdown is complete."""
        arrived, told = os.pipe()
        os.set_blocking(told, False)
        # A handler alone may run too late: the interpreter runs it when this thread wakes, and a
        # signal that comes just before it goes to sleep does not wake it. A byte in a pipe does.
        earlier = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        before = signal.set_wakeup_fd(told)
        failures: list[BaseException] = []
        try:
            self._serve_until_stopped(arrived, told, failures)
        finally:
            signal.set_wakeup_fd(before)
            for number, handler in earlier.items():
                signal.signal(number, handler)
            os.close(arrived)
            os.close(told)
        if failures:
            raise failures[0]

    def _serve_until_stopped(self, arrived: int, told: int, failures: list[BaseException]) -> None:
        stopping = False

        def live() -> None:  # on a thread of its own, so that signals are served meanwhile
            try:
                self.boot()
            except BaseException as error:
                if not (stopping and isinstance(error, LifecycleError)):
                    failures.append(error)

        booting = self.clock.Thread(live, f"{self.name}:boot")
        booting.start()
        self._lifecycle.when_stopped(lambda: os.write(told, bytes([_STOPPED])))
        while True:
            for number in os.read(arrived, 64):
                if number == _STOPPED:
                    booting.join(1.0)  # it has yet to say why it failed
                    return
                stopping = stopping or number in (signal.SIGINT, signal.SIGTERM)
                self._serve(number)

    def _serve(self, number: int) -> None:
        if number in (signal.SIGINT, signal.SIGTERM):
            self.clock.Thread(
                lambda: self.shutdown(signal.Signals(number).name), f"{self.name}:signal"
            ).start()
        elif number == signal.SIGHUP:
            self.turns.submit_elsewhere(self._turn(message.SystemReload()))
        else:
            action = "user1" if number == signal.SIGUSR1 else "user2"
            self.turns.submit_elsewhere(self._turn(message.SystemSignal(number, action)))
