"""Acts: what a node has done to its outside, to be compared with what it does when replayed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgekernel.journal.describing import words_of
from edgekernel.journal.records import (
    BusRecord,
    CommandRecord,
    EventRecord,
    OutcomeRecord,
    OutputRecord,
    Record,
)

SURROUNDINGS = frozenset(
    {"busy", "computer", "config", "faults", "journal", "mcp", "mqtt", "node-file", "recorder"}
    | {"sim", "standby", "update", "web", "world"}
)
"""Parts that stand between a node and its outside: they are no part of what is replayed."""

OF_THIS_MACHINE = frozenset(("slow.turn", "service.overrun"))
"""Messages that tell how busy the computer was."""

_LEFT_OUT = frozenset(("traceback",))
_TIMES = ("_s", "_ms", "_us", "_ns")
_ABOUT = ("component", "device", "interface", "part", "process", "service")
_REFUSED = "command.refused"


@dataclass(frozen=True, slots=True)
class Act:
    """Something that was done, at a time, by an output, at a boundary or by saying it.

    Two are the same if `stream` and `what` are, and if the numbers in `times` differ by no more
    than the times themselves may.
    """

    monotonic_ns: int
    time_ns: int
    stream: str
    what: tuple[Any, ...]
    times: tuple[float, ...]
    words: str


def acts_of(records: Iterable[Record], devices: Mapping[str, str]) -> Iterator[Act]:
    """Return what is compared of records: outputs, what is written to boundaries, messages.

    `devices` names who uses a boundary, as "i2c1 0x76" or "GPIO17". What repeats the level that a
    line has is no act.
    """
    levels: dict[str, Any] = {}
    asked: dict[int, CommandRecord] = {}
    for record in records:
        match record:
            case OutputRecord():
                act = _output(record, levels)
            case BusRecord():
                act = _bus(record, levels, devices)
            case EventRecord():
                act = _event(record)
            case CommandRecord():
                asked[record.id] = record
                act = None
            case OutcomeRecord():
                act = _outcome(record, asked.pop(record.id, None))
            case _:
                act = None
        if act is not None:
            yield act


def from_outside(record: CommandRecord) -> bool:
    """Say whether a request came from outside, and not from a part of the application."""
    kind, _, component = record.principal.partition(":")
    inside = kind == "component" and component not in SURROUNDINGS
    return not inside and record.cause is None and _owner(record.command) not in SURROUNDINGS


def _output(record: OutputRecord, levels: dict[str, Any]) -> Act | None:
    if levels.get(record.output, _output) == record.setpoint:
        return None
    levels[record.output] = record.setpoint
    return _act(record, record.output, ("set", record.setpoint), f"set to {_said(record.setpoint)}")


def _bus(record: BusRecord, levels: dict[str, Any], devices: Mapping[str, str]) -> Act | None:
    """Return what was written; reads are answers of the outside, and are given again."""
    if record.error is not None:
        return None
    args = [each for each in record.args if not isinstance(each, dict)]
    match record.kind, record.op:
        case "output", "open" | "write":
            return _level(record, levels, devices, args[0])
        case "pwm", "open" | "write":
            return _level(record, levels, devices, float(args[-1]))
        case "i2c", "write" | "write_block":
            place = f"{record.name} 0x{args[0]:02x}"
            return _act(record, _place(place, devices), (record.op, *args[1:]), words_of(record))
        case "serial", "write":
            return _act(record, _place(record.name, devices), ("write", *args), words_of(record))
    return None


def _level(
    record: BusRecord, levels: dict[str, Any], devices: Mapping[str, str], level: Any
) -> Act | None:
    if level is None or levels.get(record.name, _level) == level:
        return None
    levels[record.name] = level
    said = f"{level:.6g} high" if isinstance(level, float) else "high" if level else "low"
    return _act(record, _place(record.name, devices), ("level", level), f"line {said}")


def _event(record: EventRecord) -> Act | None:
    if record.source in SURROUNDINGS or record.name in OF_THIS_MACHINE:
        return None
    payload = record.payload
    if any(payload.get(name) in SURROUNDINGS for name in _ABOUT):
        return None
    principal = str(payload.get("principal", ""))
    if record.name == _REFUSED and not principal.startswith("component:"):
        return None
    if _owner(str(payload.get("command", ""))) in SURROUNDINGS:
        return None
    what, times = _split(payload)
    said = words_of(record)
    return _act(record, f"message of {record.source}", (record.name, what), said, times)


def _outcome(record: OutcomeRecord, request: CommandRecord | None) -> Act | None:
    if request is None or not from_outside(request) or not is_carried_out(record):
        return None
    return _act(record, f"command {record.command}", (record.code,), f"ended: {record.code}")


def is_carried_out(record: OutcomeRecord) -> bool:
    """Say whether a request was carried out, and was not refused or a repetition."""
    return record.code in ("ok", "failed", "timeout")


def _act(
    record: Record,
    stream: str,
    what: tuple[Any, ...],
    words: str,
    times: tuple[float, ...] = (),
) -> Act:
    return Act(record.monotonic_ns, record.time_ns, stream, _hashable(what), times, words)


def _split(payload: Mapping[str, Any]) -> tuple[tuple[Any, ...], tuple[float, ...]]:
    """Return a message's fields without the numbers that are times, and these."""
    what, times = [], []
    for name, value in payload.items():
        if name in _LEFT_OUT:
            continue
        if name.endswith(_TIMES) and type(value) in (int, float):
            times.append(_seconds(name, value))
        else:
            what.append((name, value))
    return tuple(what), tuple(times)


def _seconds(name: str, value: float) -> float:
    unit = name.rpartition("_")[2]
    return value / {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[unit]


def _hashable(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    if isinstance(value, Mapping):
        return tuple((name, _hashable(item)) for name, item in value.items())
    return "nan" if value != value else value  # nan is the same as nan here


def _place(name: str, devices: Mapping[str, str]) -> str:
    return f"{devices[name]} ({name})" if name in devices else name


def _owner(command: str) -> str:
    return command.partition(".")[0]


def _said(value: Any) -> str:
    return "on" if value is True else "off" if value is False else str(value)
