"""The runtime's own messages: what it says about itself and its parts."""

from __future__ import annotations

from edgekernel.core.messages import Message, Severity

__all__ = [
    "CommandDone",
    "CommandRefused",
    "DeadLetter",
    "DeviceAttached",
    "DeviceDetached",
    "DeviceFailed",
    "DeviceOffline",
    "DeviceOnline",
    "EffectError",
    "EventSubscriberError",
    "FeedbackLoop",
    "InterfaceError",
    "InterfaceStarted",
    "InterfaceStopped",
    "ProcessError",
    "ProcessStarted",
    "ProcessStopped",
    "RuntimeBooted",
    "RuntimeBooting",
    "RuntimeShutdown",
    "RuntimeShuttingDown",
    "ServiceError",
    "ServiceFailure",
    "ServiceOverrun",
    "ServiceRestart",
    "ServiceStarted",
    "ServiceStopped",
    "ShutdownStepFailed",
    "SlowTurn",
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


class DeviceAttached(Message):
    """The device is connected, its outputs are at their safe values."""

    device: str


class DeviceDetached(Message):
    """The device is safe and disconnected."""

    device: str


class DeviceFailed(Message):
    """Connecting, disconnecting or making the device safe has failed."""

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
    """The service is given up: it is critical, or its restart budget is used up."""

    severity = Severity.CRITICAL
    service: str
    error: str


class ServiceOverrun(Message):
    """The service took longer than its interval; `missed` ticks were skipped."""

    severity = Severity.WARNING
    service: str
    missed: int


class EventSubscriberError(Message):
    """A subscriber raised."""

    name = "event.subscriber_error"
    severity = Severity.ERROR
    handler: str
    event: str
    error: str
    traceback: str


class EffectError(Message):
    """An effect, or another turn that is no handler, raised."""

    severity = Severity.ERROR
    effect: str
    error: str
    traceback: str


class SlowTurn(Message):
    """A handler or effect kept the others waiting for longer than the limit."""

    severity = Severity.WARNING
    turn: str
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
