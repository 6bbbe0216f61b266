"""What the parts of a runtime have, as records."""

from __future__ import annotations

from edgekernel.backends.recording import LineEdge, Transaction
from edgekernel.core.call import Call
from edgekernel.core.clock import Clock
from edgekernel.core.errors import describe
from edgekernel.core.messages import Event
from edgekernel.core.output import Output
from edgekernel.journal.plain import arguments, clean, payload, plain
from edgekernel.journal.records import (
    BusRecord,
    CommandRecord,
    EdgeRecord,
    EventRecord,
    OpaqueRecord,
    OutcomeRecord,
    OutputRecord,
    Record,
)

Item = Event | Transaction | LineEdge | Record
"""What waits for being recorded."""

SET = "set"
"""What stands in place of a command's name when an output was set from outside."""


def as_record(item: Item) -> Record:
    """Return the record of what waits; an opaque one of what cannot be recorded. Never raises."""
    try:
        return _as_record(item)
    except Exception as error:
        kind, times = type(item).__name__, (item.monotonic_ns, item.time_ns)
        return OpaqueRecord(*times, kind, 0, clean(describe(error)[0]), b"")


def _as_record(item: Item) -> Record:
    if isinstance(item, Event):
        return _event(item)
    if isinstance(item, Transaction):
        return _bus(item)
    if isinstance(item, LineEdge):
        edge = item.edge
        late_ns = item.monotonic_ns - edge.monotonic_ns
        return EdgeRecord(item.monotonic_ns, item.time_ns, item.line, edge.level, late_ns)
    return item


def _event(event: Event) -> EventRecord:
    message = event.payload
    return EventRecord(
        event.monotonic_ns, event.time_ns, event.seq, event.source, event.cause,
        event.correlation, message.name, int(message.severity), payload(message),
    )  # fmt: skip


def _bus(call: Transaction) -> BusRecord:
    args = [plain(each) for each in call.args]
    if call.options:
        args.append(plain(call.options))
    return BusRecord(
        call.monotonic_ns, call.time_ns, call.kind, call.name, call.op, args,
        plain(call.result), call.error, clean(call.text), call.took_ns,
    )  # fmt: skip


def command_record(call: Call, clock: Clock) -> CommandRecord:
    """Return the record of a request, without its secrets."""
    request, command = call.request, call.command
    args, whole = arguments(request.args, () if command is None else command.secret)
    return CommandRecord(
        clock.monotonic_ns(), clock.time_ns(), call.id, call.cause,
        request.principal or call.principals[-1], call.name, request.target, request.key, args,
        whole,
    )  # fmt: skip


def set_record(output: str, value: object, principal: str, clock: Clock) -> CommandRecord:
    """Return the record of an output that is set from outside: a request without an outcome."""
    args, whole = arguments({"value": value})
    now = clock.monotonic_ns(), clock.time_ns()
    return CommandRecord(*now, 0, None, principal, SET, output, "", args, whole)


def outcome_record(call: Call, clock: Clock) -> OutcomeRecord:
    """Return the record of what came of a request, without its secrets."""
    now = clock.monotonic_ns(), clock.time_ns()
    return OutcomeRecord(*now, call.id, call.name, call.code, clean(call.failure), call.took_s)


def output_record(output: Output[bool | int | float | str], clock: Clock) -> OutputRecord:
    """Return the record of an output; an effect that asks for it depends on the output."""
    setpoint, sample = output.setpoint, output.readback.sample
    now = clock.monotonic_ns(), clock.time_ns()
    return OutputRecord(
        *now, output.label, setpoint, sample.value, sample.quality.value, clean(sample.reason)
    )
