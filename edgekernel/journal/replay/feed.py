"""Feed: gives a runtime what came to it from outside, at the times at which it came."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from edgekernel.backends.replay import ReplayBackend
from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.errors import EdgekernelError, UnknownTargetError, describe, of_user_code
from edgekernel.core.messages import Message, find
from edgekernel.core.runtime import Runtime
from edgekernel.hal.gpio import Edge
from edgekernel.journal.convert import SET
from edgekernel.journal.records import (
    ClockRecord,
    CommandRecord,
    EdgeRecord,
    EventRecord,
    OutcomeRecord,
    Record,
)
from edgekernel.journal.replay.acts import from_outside, is_carried_out
from edgekernel.journal.replay.recording import Recording
from edgekernel.sim.clock import SimClock

_BOOT_LIMIT_S = 5.0
"""How much later than then the boot may end before a request is given up that came after it."""
_LOOK_S = 0.01
_BRIDGES = frozenset(("computer", "mqtt", "web", "mcp"))
"""Parts that bring messages from outside, which the application may handle."""
_SIGNALS = frozenset(("system.reload", "system.signal"))


@dataclass(frozen=True, slots=True)
class Unfed:
    """What could not be given again, and why."""

    monotonic_ns: int
    time_ns: int
    what: str


class Feed:
    """Edges, requests, messages of bridges and steps of the wall time, each at its time.

    A request that was refused is not made again, nor one whose arguments are not all in the
    record: that is told in `unfed`.
    """

    def __init__(self, recording: Recording, clock: SimClock, backend: ReplayBackend) -> None:
        self._clock = clock
        self._backend = backend
        self._inputs = list(inputs(recording.records))
        self._runtime: Runtime | None = None
        self.unfed: list[Unfed] = []

    def start(self, runtime: Runtime) -> None:
        """Begin, before the boot."""
        self._runtime = runtime
        self._clock.Thread(self._run, "replay:inputs").start()

    def _run(self) -> None:
        for record in self._inputs:
            left_ns = record.monotonic_ns - self._clock.monotonic_ns()
            if left_ns > 0:
                self._clock.sleep(left_ns / NANOSECONDS)
            try:
                self._give(record)
            except BaseException as error:  # what is fed is told, and the rest is fed
                self._note(record, describe(of_user_code(error))[0])

    def _give(self, record: Record) -> None:
        match record:
            case EdgeRecord():
                edge = Edge(record.level, record.monotonic_ns - record.late_ns)
                self._backend.tell(record.line, edge)
            case ClockRecord():
                self._clock.step_wall(record.step_ns / NANOSECONDS)
            case CommandRecord():
                self._ask(record)
            case EventRecord():
                self._tell(record)

    def _ask(self, record: CommandRecord) -> None:
        if not record.whole:
            self._note(record, "arguments that the journal hides or has no form for")
            return
        runtime = self._booted()
        if record.command == SET:
            device, _, output = record.target.rpartition(".")
            runtime.devices[device].outputs[output].set(record.args["value"])
            return
        runtime.invoke_nowait(
            record.command, record.args, record.principal, target=record.target, key=record.key
        )

    def _tell(self, record: EventRecord) -> None:
        try:
            cls = find(record.name)
        except UnknownTargetError:  # then nobody handles it
            return
        self._booted().post(_made(cls, record.payload), record.source)

    def _booted(self) -> Runtime:
        """Return the runtime when it has booted: what came then came after the boot."""
        runtime = self._runtime
        assert runtime is not None, "it is started with one"
        left_s = _BOOT_LIMIT_S
        while not runtime.phase.booted and left_s > 0:
            self._clock.sleep(_LOOK_S)
            left_s -= _LOOK_S
        return runtime

    def _note(self, record: Record, why: str) -> None:
        what = record.type
        if isinstance(record, CommandRecord):
            what = f"the request #{record.id} {record.command} of {record.principal or 'nobody'}"
        elif isinstance(record, EventRecord):
            what = f"the message {record.name} of {record.source}"
        text = f"{what} was not given again: {why}"
        self.unfed.append(Unfed(record.monotonic_ns, record.time_ns, text))


def inputs(records: Iterable[Record]) -> Iterator[Record]:
    """Return the records of what came from outside other than as an answer."""
    kept = list(records)
    refused = {r.id for r in kept if isinstance(r, OutcomeRecord) and not is_carried_out(r)}
    wanted: dict[type[Record], Callable[[Any], bool]] = {
        EdgeRecord: lambda record: True,
        ClockRecord: lambda record: record.step_ns != 0,
        CommandRecord: lambda record: from_outside(record) and record.id not in refused,
        EventRecord: lambda record: record.source in _BRIDGES or record.name in _SIGNALS,
    }
    return (r for r in kept if type(r) in wanted and wanted[type(r)](r))


def _made(cls: type[Message], payload: dict[str, Any]) -> Message:
    """Make a message of its record. Raises EdgekernelError if it does not fit its class."""
    types = {each.name: str(each.type) for each in fields(cls)}
    given = {
        name: tuple(value) if isinstance(value, list) and "tuple" in types.get(name, "") else value
        for name, value in payload.items()
    }
    try:
        return cls(**given)
    except (TypeError, ValueError) as error:
        raise EdgekernelError(f"{cls.__name__} is another message than then: {error}") from error
