"""Records in words, for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.tracebacks import one_line, place
from edgekernel.journal.records import (
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
    Record,
)

_LONGEST = 60
_LONGEST_BYTES = 24


def source_of(record: Record) -> str:
    """Return where a record comes from: a part, a boundary, a command or an output; or nothing."""
    named: tuple[tuple[type[Record], str], ...] = (
        (EventRecord, "source"),
        (BusRecord, "name"),
        (EdgeRecord, "line"),
        (CommandRecord, "principal"),
        (OutcomeRecord, "command"),
        (OutputRecord, "output"),
        (BootRecord, "node"),
    )
    return next((getattr(record, name) for kind, name in named if isinstance(record, kind)), "")


def words_of(record: Record) -> str:
    """Return in one line what a record says."""
    say: Callable[[Any], str] | None = _WORDS.get(record.type)
    return one_line(say(record)) if say is not None else ""


def _event(record: EventRecord) -> str:
    fields = {name: value for name, value in record.payload.items() if name != "traceback"}
    return f"{record.name} {_named(fields, None)}".rstrip()


def place_of(record: Record) -> str:
    """Return where in the application it went wrong of which a record tells; or nothing."""
    trace = record.payload.get("traceback") if isinstance(record, EventRecord) else None
    found = place(trace) if isinstance(trace, str) else None
    return one_line(f"({found})") if found is not None else ""


def _bus(record: BusRecord) -> str:
    args = ", ".join(map(_brief, record.args))
    took = f" in {record.took_ns / 1e6:.3g} ms" if record.took_ns else ""
    if record.error is not None:
        return f"{record.op}({args}){took}: {record.error}: {record.text}"
    result = "" if record.result is None else f" = {_brief(record.result)}"
    return f"{record.op}({args}){result}{took}"


def _edge(record: EdgeRecord) -> str:
    return "rises" if record.level else "falls"


def _command(record: CommandRecord) -> str:
    target = f" of {record.target}" if record.target else ""
    return f"#{record.id} {record.command}{target} {_named(record.args)}".rstrip()


def _outcome(record: OutcomeRecord) -> str:
    why = f": {record.error}" if record.error else ""
    return f"#{record.id} {record.code} after {record.took_s:.3g} s{why}"


def _output(record: OutputRecord) -> str:
    why = f", {record.quality}: {record.reason}" if record.reason else ""
    return f"set to {_brief(record.setpoint)}, is {_brief(record.readback)}{why}"


def _boot(record: BootRecord) -> str:
    seed = "" if record.seed is None else f", seed {record.seed}"
    return f"boot {record.boot_id}, {_named(record.versions)}, {record.clock} clock{seed}"


def _config(record: ConfigRecord) -> str:
    return f"configuration {record.hash}"


def _clock(record: ClockRecord) -> str:
    step = f", set by {record.step_ns / NANOSECONDS:+.6f} s" if record.step_ns else ""
    return f"{record.quality}{step}"


def _lost(record: LostRecord) -> str:
    return f"{record.count} records are missing: {record.reason}"


def _opaque(record: OpaqueRecord) -> str:
    what = f"{record.of_type} version {record.of_version}: " if record.of_type else ""
    data = f" {_brief(record.data)}" if record.data else ""
    return f"{what}{record.reason}{data}"


_WORDS: dict[str, Callable[[Any], str]] = {
    "boot": _boot,
    "bus": _bus,
    "clock": _clock,
    "command": _command,
    "config": _config,
    "edge": _edge,
    "event": _event,
    "lost": _lost,
    "opaque": _opaque,
    "outcome": _outcome,
    "output": _output,
}


def _named(values: dict[str, Any], longest: int | None = _LONGEST) -> str:
    return " ".join(f"{name}={_brief(value, longest)}" for name, value in values.items())


def _brief(value: Any, longest: int | None = _LONGEST) -> str:
    if isinstance(value, bytes):
        text = value[:_LONGEST_BYTES].hex(" ")
        return f"[{text}{' ...' if len(value) > _LONGEST_BYTES else ''}]"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = "-" if value is None else str(value)
    return text if longest is None or len(text) <= longest else f"{text[: longest - 3]}..."
