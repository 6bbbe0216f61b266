"""The runtime's own messages: what it says about itself and its parts."""

from __future__ import annotations

from edgekernel.core.messages import Message, Severity

__all__ = [
    "BackgroundError",
    "ChangeHung",
    "ChangeRecovered",
    "CommandDone",
    "CommandRefused",
    "ComponentFailed",
    "ComponentStarted",
    "ComponentStopped",
    "ComponentWaiting",
    "DeadLetter",
    "DeviceAttached",
    "DeviceDetached",
    "DeviceFailed",
    "DeviceOffline",
    "DeviceOnline",
    "DeviceStale",
    "EffectError",
    "EffectLags",
    "EffectWaiting",
    "EventSubscriberError",
    "FeedbackLoop",
    "HealthChanged",
    "HotAdded",
    "HotChangeFailed",
    "HotRemoved",
    "HotUpdateFailed",
    "HotUpdated",
    "InterfaceError",
    "InterfaceStarted",
    "InterfaceStopped",
    "LeaseHeld",
    "LeaseLost",
    "MemoryFailed",
    "MemoryRecovered",
    "OutputExpired",
    "OutputMatches",
    "OutputMismatch",
    "OutputNotDriven",
    "PartRetry",
    "PluginFailed",
    "ProcessError",
    "ProcessStarted",
    "ProcessStopped",
    "RuntimeBooted",
    "RuntimeBooting",
    "RuntimeDegraded",
    "RuntimeDraining",
    "RuntimeRecovered",
    "RuntimeShutdown",
    "RuntimeShuttingDown",
    "ServiceError",
    "ServiceFailure",
    "ServiceHung",
    "ServiceOverrun",
    "ServiceRecovered",
    "ServiceRestart",
    "ServiceStarted",
    "ServiceStopped",
    "ShutdownStepFailed",
    "SlowTurn",
    "SupervisorEscalated",
    "SystemReload",
    "SystemSignal",
    "TurnsDropped",
]


class RuntimeBooting(Message):
    """The runtime begins to boot."""

    version: str


class RuntimeBooted(Message):
    """Every device, process and interface has started."""

    version: str


class RuntimeDegraded(Message):
    """The runtime goes on without these parts and tries them again from time to time."""

    severity = Severity.WARNING
    parts: tuple[str, ...]


class RuntimeRecovered(Message):
    """Every part that the runtime had gone on without works."""


class RuntimeDraining(Message):
    """The runtime finishes what it has begun and takes on nothing new."""

    reason: str


class RuntimeShuttingDown(Message):
    """The runtime begins to stop; the outputs are safe already."""

    name = "runtime.shutting_down"
    reason: str


class RuntimeShutdown(Message):
    """The runtime has stopped; nothing is handled after this."""

    reason: str


class ShutdownStepFailed(Message):
    """A step of the shutdown raised or did not end in time, and was passed over."""

    severity = Severity.ERROR
    step: str
    error: str


class ComponentStarted(Message):
    """The component is active: its effects run and its commands are there."""

    component: str


class ComponentStopped(Message):
    """The component is not active any more."""

    component: str


class ComponentFailed(Message):
    """The component raised while it was started, stopped or asked for its health."""

    severity = Severity.ERROR
    component: str
    error: str
    traceback: str


class ComponentWaiting(Message):
    """The component starts as soon as what it requires is there; `missing` names it."""

    severity = Severity.WARNING
    component: str
    missing: tuple[str, ...]


class PartRetry(Message):
    """A part that failed will be started again after `delay_s` seconds.

    `attempt` counts its failures in a row. Of those that go on in the same way not each is told: it
    comes, with the ComponentFailed before it, after pauses that grow to an hour.
    """

    severity = Severity.WARNING
    part: str
    attempt: int
    delay_s: float


class HealthChanged(Message):
    """A part says that it is healthy, or that it is not and why."""

    part: str
    healthy: bool
    reason: str


class HotAdded(Message):
    """A part was added to the running runtime."""

    part: str


class HotRemoved(Message):
    """A part was removed from the running runtime; nothing of it is left."""

    part: str


class HotUpdated(Message):
    """A part was replaced in the running runtime; the new one has the state of the old one."""

    part: str


class HotChangeFailed(Message):
    """A hot change that a part has asked for inside a turn was not made."""

    severity = Severity.ERROR
    change: str
    error: str
    traceback: str


class ChangeHung(Message):
    """A start, retry or hot change has gone on for `seconds`; all others wait for it."""

    severity = Severity.ERROR
    change: str
    seconds: float


class ChangeRecovered(Message):
    """The start, retry or hot change that hung has come to an end after `seconds`."""

    change: str
    seconds: float


class PluginFailed(Message):
    """A plugin file could not be loaded; what it had brought before stays."""

    severity = Severity.ERROR
    file: str
    error: str
    traceback: str


class HotUpdateFailed(Message):
    """A part was not replaced: the new one failed, and the old one is active as before."""

    severity = Severity.ERROR
    part: str
    error: str


class DeviceAttached(Message):
    """The device is connected, its outputs are at what they begin with."""

    device: str


class DeviceDetached(Message):
    """The device is safe and disconnected."""

    device: str


class DeviceFailed(Message):
    """Connecting, disconnecting or making the device safe has failed, or its driver is mistaken.

    Connecting is tried again and again; the same failure is told of after pauses that grow to an
    hour.
    A mistake in a driver is what it raises in a poll, other than that the hardware does not answer,
    and all that it raises when it is told an edge.
    """

    severity = Severity.ERROR
    device: str
    error: str
    traceback: str


class DeviceOnline(Message):
    """The device answers, for the first time or again."""

    device: str


class DeviceOffline(Message):
    """The device does not answer."""

    severity = Severity.WARNING
    device: str
    error: str


class DeviceStale(Message):
    """Readings were not measured for so long that they are BAD."""

    severity = Severity.WARNING
    device: str
    readings: tuple[str, ...]
    limit_s: float


class OutputExpired(Message):
    """The output fell to its safe value: its "lease" or "max_on" was over after `limit_s`."""

    severity = Severity.WARNING
    output: str
    reason: str
    limit_s: float


class LeaseHeld(Message):
    """A controller holds the lease from now on: what needs it works."""

    lease: str
    holder: str


class LeaseLost(Message):
    """Nobody holds the lease any more: its outputs go safe, its commands are refused."""

    severity = Severity.WARNING
    lease: str
    holder: str
    reason: str


class OutputNotDriven(Message):
    """A value that was to be driven later, or at the beginning, was not, and why."""

    severity = Severity.WARNING
    output: str
    value: bool | int | float | str | None
    error: str


class OutputMismatch(Message):
    """The hardware does not do what it was told for `seconds`: its readback is BAD."""

    severity = Severity.ERROR
    output: str
    setpoint: bool | int | float | str | None
    readback: bool | int | float | str | None
    seconds: float


class OutputMatches(Message):
    """The hardware does again what it was told."""

    output: str


class MemoryFailed(Message):
    """What is to be known after a restart cannot be written or read; it is tried again."""

    severity = Severity.ERROR
    error: str


class MemoryRecovered(Message):
    """What is to be known after a restart is written again."""


class ProcessStarted(Message):
    """The process handles events from now on."""

    process: str


class ProcessStopped(Message):
    """The process handles no more events."""

    process: str


class ProcessError(Message):
    """A handler of the process raised."""

    severity = Severity.ERROR
    process: str
    event: str
    error: str
    traceback: str


class InterfaceStarted(Message):
    """The interface handles events from now on."""

    interface: str


class InterfaceStopped(Message):
    """The interface handles no more events."""

    interface: str


class InterfaceError(Message):
    """A handler of the interface raised."""

    severity = Severity.ERROR
    interface: str
    event: str
    error: str
    traceback: str


class ServiceStarted(Message):
    """The service ticks from now on."""

    service: str


class ServiceStopped(Message):
    """The service has ended."""

    service: str


class ServiceError(Message):
    """The service raised in start, tick, stop or a handler; `event` is what it was doing."""

    severity = Severity.ERROR
    service: str
    event: str
    error: str
    traceback: str


class ServiceRestart(Message):
    """The service will be started again after `delay_s` seconds."""

    severity = Severity.WARNING
    service: str
    attempt: int
    delay_s: float


class ServiceFailure(Message):
    """The service is given up: it is critical, or its policy or budget allows no restart."""

    severity = Severity.CRITICAL
    service: str
    error: str


class ServiceOverrun(Message):
    """The service took longer than its interval; `missed` ticks were skipped."""

    severity = Severity.WARNING
    service: str
    missed: int


class ServiceHung(Message):
    """A tick, `start` or `stop` of the service has not come back for `seconds`, its limit."""

    severity = Severity.ERROR
    service: str
    seconds: float


class ServiceRecovered(Message):
    """What hung in the service has come to an end after `seconds`."""

    service: str
    seconds: float


class SupervisorEscalated(Message):
    """The supervisor could not keep `child` running and hands the failure on."""

    severity = Severity.CRITICAL
    supervisor: str
    child: str
    error: str


class EventSubscriberError(Message):
    """A subscriber raised."""

    name = "event.subscriber_error"
    severity = Severity.ERROR
    handler: str
    event: str
    error: str
    traceback: str


class EffectError(Message):
    """An effect, its cleanup or its fallback raised."""

    severity = Severity.ERROR
    effect: str
    error: str
    traceback: str


class EffectWaiting(Message):
    """An effect cannot go on because a reading that it needs is BAD; told once per spell.

    It runs again when the reading changes. What it drives has gone to its fallback.
    """

    severity = Severity.WARNING
    effect: str
    reading: str
    reason: str


class BackgroundError(Message):
    """Something raised that is no handler, effect or part of a lifecycle, and for which nobody
    waits: what decides on a restart, a command that was given up, the feed of a watchdog."""

    severity = Severity.ERROR
    where: str
    error: str
    traceback: str


class SlowTurn(Message):
    """A handler or effect kept the others waiting for longer than the limit."""

    severity = Severity.WARNING
    turn: str
    seconds: float


class EffectLags(Message):
    """A run of an asynchronous effect still goes on, `seconds` after what it had read has changed:
    it follows no change before it has ended."""

    severity = Severity.WARNING
    effect: str
    seconds: float


class FeedbackLoop(Message):
    """Messages or effects caused one another without end; the loop was cut at `cut`."""

    severity = Severity.ERROR
    members: tuple[str, ...]
    cut: str


class CommandRefused(Message):
    """A request was not carried out; nothing was switched."""

    severity = Severity.WARNING
    target: str
    principal: str
    code: str
    error: str


class CommandDone(Message):
    """A command has ended after `duration_s` seconds; `error` is empty if it is `ok`."""

    command: str
    principal: str
    ok: bool
    error: str
    duration_s: float


class DeadLetter(Message):
    """What was meant for `target` could not be delivered and was put aside."""

    severity = Severity.WARNING
    target: str
    reason: str
    error: str


class TurnsDropped(Message):
    """The turn queue is full: `dropped` messages and effects were dropped so far."""

    severity = Severity.CRITICAL
    dropped: int


class SystemReload(Message):
    """The operator asks for a reload (SIGHUP)."""


class SystemSignal(Message):
    """A signal or another sign of life reached the runtime."""

    signal: int
    action: str
