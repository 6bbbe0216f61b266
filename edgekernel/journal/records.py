"""Records: what a journal keeps, each type with a name and a version, plain data only.

    boot      the agent has begun: who, which versions, which plan, which clock
    config    the node file as it was read, secrets masked, and its hash
    clock     how good the wall time is, and by how much it was set
    event     a message that was emitted
    bus       what a driver asked of a boundary, and what it got or met
    edge      a change of level that was told to a driver
    command   a request that is about to be carried out, or was refused
    outcome   what came of it
    output    an output's setpoint and readback, when one of them has changed
    lost      how many records are missing here, and why
    opaque    an entry that cannot be understood, as it is

A field is added by a new version of its type; a reader that does not know it returns an opaque
record. Nothing in a record names code: to make a message of an event is up to the reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Record:
    """One entry: when, on the runtime's clock and by the wall; a subclass says what.

    `monotonic_ns` is the runtime's monotonic time, `time_ns` the wall time since 1970-01-01 UTC,
    both in nanoseconds.
    """

    type: ClassVar[str] = ""
    version: ClassVar[int] = 1

    monotonic_ns: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class BootRecord(Record):
    """An agent has begun to record. `clock` is "system" or "simulated", with its seed."""

    type: ClassVar[str] = "boot"

    boot_id: str
    node: str
    versions: dict[str, Any]
    plan_hash: str
    clock: str
    seed: int | None


@dataclass(frozen=True, slots=True)
class ConfigRecord(Record):
    """The node file, as data with its secrets masked, and the hash of that (SHA-256)."""

    type: ClassVar[str] = "config"

    hash: str
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ClockRecord(Record):
    """The wall time was set by `step_ns`, or its quality is another one.

    `quality` is "synchronised", "unsynchronised", "stepped" (set just now), "simulated" or
    "unknown".
    """

    type: ClassVar[str] = "clock"

    quality: str
    step_ns: int


@dataclass(frozen=True, slots=True)
class EventRecord(Record):
    """An event; the fields are those of `edgekernel.Event`, the payload the message's as data."""

    type: ClassVar[str] = "event"

    seq: int
    source: str
    cause: int | None
    correlation: str | None
    name: str
    severity: int
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BusRecord(Record):
    """A call at a boundary that has come back, after `took_ns`.

    `kind` is that of the boundary ("i2c", "serial", "output", "input"), `name` its name on the
    board, `op` the method of the protocol. Either there is a `result`, or `error` is the class
    and `text` the words of what was raised.
    """

    type: ClassVar[str] = "bus"

    kind: str
    name: str
    op: str
    args: list[Any]
    result: Any
    error: str | None
    text: str
    took_ns: int


@dataclass(frozen=True, slots=True)
class EdgeRecord(Record):
    """An edge that was told to a driver `late_ns` after the time that it bears."""

    type: ClassVar[str] = "edge"

    line: str
    level: bool
    late_ns: int


@dataclass(frozen=True, slots=True)
class CommandRecord(Record):
    """A request. `cause` is the id of the command that has asked; secrets are masked.

    `whole` says whether the arguments are all there: with them it can be made again.
    """

    type: ClassVar[str] = "command"

    id: int
    cause: int | None
    principal: str
    command: str
    target: str
    key: str
    args: dict[str, Any]
    whole: bool


@dataclass(frozen=True, slots=True)
class OutcomeRecord(Record):
    """What came of the request of that id: "ok", "failed", "repeated" or the refusal's code."""

    type: ClassVar[str] = "outcome"

    id: int
    command: str
    code: str
    error: str
    took_s: float


@dataclass(frozen=True, slots=True)
class OutputRecord(Record):
    """An output, such as "fan.power", after a change; `setpoint` is None before the first one."""

    type: ClassVar[str] = "output"

    output: str
    setpoint: bool | int | float | str | None
    readback: bool | int | float | str | None
    quality: str
    reason: str


@dataclass(frozen=True, slots=True)
class LostRecord(Record):
    """So many records are missing before this one."""

    type: ClassVar[str] = "lost"

    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class OpaqueRecord(Record):
    """An entry that could not be understood: of which type and version, why, and its bytes.

    The times are 0 where they are unknown, too.
    """

    type: ClassVar[str] = "opaque"

    of_type: str
    of_version: int
    reason: str
    data: bytes = field(repr=False)


TYPES: dict[str, type[Record]] = {
    cls.type: cls
    for cls in (
        BootRecord,
        BusRecord,
        ClockRecord,
        CommandRecord,
        ConfigRecord,
        EdgeRecord,
        EventRecord,
        LostRecord,
        OpaqueRecord,
        OutcomeRecord,
        OutputRecord,
    )
}
"""The types of records by name."""

_SCALAR = (bool, int, float, str, type(None))
_KINDS: dict[str, tuple[type, ...]] = {
    "Any": (*_SCALAR, bytes, list, dict),
    "bool": (bool,),
    "bool | int | float | str | None": _SCALAR,
    "bytes": (bytes,),
    "dict[str, Any]": (dict,),
    "float": (float,),
    "int": (int,),
    "int | None": (int, type(None)),
    "list[Any]": (list,),
    "str": (str,),
    "str | None": (str, type(None)),
}
_TIMES = 2  # the fields of every record

FIELDS: dict[str, tuple[tuple[str, tuple[type, ...]], ...]] = {
    name: tuple((each.name, _KINDS[str(each.type)]) for each in fields(cls)[_TIMES:])
    for name, cls in TYPES.items()
}
"""What each type has beside the times: names of fields in order, with the types allowed."""


def values_of(record: Record) -> list[Any]:
    """Return the fields of a record in order, without the times."""
    return [getattr(record, name) for name, _ in FIELDS[record.type]]


def make(
    type_name: str, version: int, monotonic_ns: int, time_ns: int, values: Sequence[Any]
) -> Record:
    """Make a record of its fields in order; raises ValueError that says what does not fit."""
    cls = TYPES.get(type_name)
    if cls is None:
        raise ValueError("unknown type")
    if version != cls.version:
        raise ValueError("unknown version")
    known = FIELDS[type_name]
    if len(values) != len(known):
        raise ValueError(f"{len(values)} fields instead of {len(known)}")
    for (name, kinds), value in zip(known, values, strict=True):
        if type(value) not in kinds:
            raise ValueError(f"field {name!r} is of type {type(value).__name__}")
    return cls(monotonic_ns, time_ns, *values)
