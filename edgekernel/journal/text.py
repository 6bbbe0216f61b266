"""Records as JSON that people can read, and back.

Beside `type`, `version` and the fields of the type there are `time`, the wall time in ISO 8601
with nanoseconds, and `monotonic_ns`. What JSON has no form for is a mapping with one name: `$bytes`
has hexadecimal digits, `$float` "nan", "inf" or "-inf", `$map` a mapping that looks like these.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from edgekernel.core.clock import NANOSECONDS
from edgekernel.journal.records import FIELDS, OpaqueRecord, Record, make

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z", re.ASCII)
_MAX_NS = 253_402_300_799 * NANOSECONDS  # the end of the year 9999
_MIN_NS = -62_135_596_800 * NANOSECONDS  # the beginning of the year 1
_SHOWN = 200


def iso(time_ns: int) -> str:
    """Return a wall time with nanoseconds, such as "2026-01-01T00:00:00.000000000Z".

    One that no calendar has is returned as its number.
    """
    if not _MIN_NS <= time_ns < _MAX_NS:
        return str(time_ns)
    seconds, ns = divmod(time_ns, NANOSECONDS)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{ns:09}Z".rjust(30, "0")


def parse_iso(text: str) -> int:
    """Return the nanoseconds since 1970 of what `iso` returns; raises ValueError."""
    match = _TIME.fullmatch(text)
    if match is None:
        return int(text)
    whole = datetime.fromisoformat(f"{match[1]}+00:00") - _EPOCH
    return (whole.days * 86400 + whole.seconds) * NANOSECONDS + int(match[2])


def as_data(record: Record) -> dict[str, Any]:
    """Return a record ready for JSON."""
    head = {
        "type": record.type,
        "version": record.version,
        "time": iso(record.time_ns),
        "monotonic_ns": record.monotonic_ns,
    }
    return head | {name: _shown(getattr(record, name)) for name, _ in FIELDS[record.type]}


def as_line(record: Record, number: int | None = None) -> str:
    """Return a record as one line of JSON, with its number if there is one."""
    data = as_data(record)
    if number is not None:
        data = {"number": number, **data}
    return json.dumps(data, separators=(",", ":"), allow_nan=False)


def from_line(line: str) -> Record:
    """Return the record of a line; an opaque one of a line that is not understood."""
    try:
        return from_data(json.loads(line))
    except (ValueError, RecursionError) as error:
        data = line.encode("utf-8", "surrogatepass")
        return OpaqueRecord(0, 0, "", 0, f"no record: {error}"[:_SHOWN], data)


def from_data(data: Any) -> Record:
    """Return the record of what `as_data` has returned; an opaque one if its type is unknown.

    Raises ValueError for what is no record at all.
    """
    if not isinstance(data, dict):
        raise ValueError("not a mapping")
    rest = {name: value for name, value in data.items() if name != "number"}
    kind, version, time, monotonic_ns = (
        _popped(rest, name, wanted)
        for name, wanted in (("type", str), ("version", int), ("time", str), ("monotonic_ns", int))
    )
    times = monotonic_ns, parse_iso(time)
    names = [name for name, _ in FIELDS.get(kind, ())]
    try:
        if set(rest) != set(names):
            raise ValueError("unknown type" if kind not in FIELDS else "other fields")
        return make(kind, version, *times, [_meant(rest[name]) for name in names])
    except ValueError as error:
        raw = json.dumps(rest).encode()
        return OpaqueRecord(*times, kind, version, str(error), raw)


def _popped(data: dict[str, Any], name: str, wanted: type) -> Any:
    value = data.pop(name, None)
    if type(value) is not wanted:
        raise ValueError(f"no {name}")
    return value


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if isinstance(value, Mapping):
        shown = {name: _shown(item) for name, item in value.items()}
        return {"$map": shown} if _is_marked(shown) else shown
    return value


def _meant(value: Any) -> Any:
    if isinstance(value, list):
        return [_meant(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _is_marked(value):
        ((mark, inner),) = value.items()
        if mark == "$bytes" and isinstance(inner, str):
            return bytes.fromhex(inner)
        if mark == "$float" and isinstance(inner, str):
            return float(inner)
        if mark == "$map" and isinstance(inner, dict):
            return {name: _meant(item) for name, item in inner.items()}
        raise ValueError(f"{mark} of {type(inner).__name__}")
    return {name: _meant(item) for name, item in value.items()}


def _is_marked(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith("$")
