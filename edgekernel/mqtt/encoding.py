"""What goes out: values, states, events and statuses as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any

from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.device import Device
from edgekernel.core.messages import Event
from edgekernel.core.output import Output
from edgekernel.core.reading import NO_VALUE_YET, Reading
from edgekernel.core.sample import Quality, Sample

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class NotEncodableError(TypeError):
    """A value has no JSON form; the text says where in it and of what type."""


def encode(value: object) -> bytes:
    """Return plain JSON values as UTF-8."""
    # Half a surrogate pair becomes its escape.
    return _ENCODER.encode(value).encode("utf-8", "backslashreplace")


def to_plain(value: object) -> Any:
    """Turn a command's result into plain JSON values, or raise NotEncodableError.

    Dataclasses become objects, pydantic models what their `model_dump` says, enums their value.
    """
    return _plain(value, "result", _refuse)


def to_plain_or_text(value: object) -> Any:
    """Turn any value into plain JSON values; what has no JSON form becomes its `repr`."""
    return _plain(value, "", lambda odd, _: repr(odd))


def timestamp(moment: datetime) -> str:
    """Return a time as ISO 8601 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def state_payload(device: Device) -> bytes:
    """Return the state of a device; an effect that calls this depends on all of it."""
    state: dict[str, Any] = {"online": device.online}
    for name, reading in device.readings.items():
        state[name] = _signal(reading)
    for name, output in device.outputs.items():
        state[name] = _output(output)
    return encode(state)


def reading_payload(reading: Reading[Any]) -> bytes:
    """Return the state of one reading; an effect that calls this depends on it."""
    return encode(_signal(reading))


def output_payload(output: Output[Any]) -> bytes:
    """Return the state of one output; an effect that calls this depends on it."""
    return encode(_output(output))


def event_payload(event: Event, boot: str) -> bytes:
    """Return an event as it is sent; `boot` and `seq` together are its id."""
    stamp = stamp_of(f"{boot}-{event.seq}", boot, event.monotonic_ns, event.time)
    return stamped(event_body(event), stamp)


def event_body(event: Event) -> bytes:
    """Return an event with its place in the order, without the stamp."""
    payload = event.payload
    return encode(
        {
            "seq": event.seq,
            "source": event.source,
            "name": payload.name,
            "severity": payload.severity.name.lower(),
            "fields": to_plain_or_text(payload.to_dict()),
        }
    )


def stamp_of(id: str, boot: str, monotonic_ns: int, time: datetime | None, more: str = "") -> bytes:
    """Return the first fields of what is not retained, open at their end; `more` is JSON."""
    when = "null" if time is None else f'"{timestamp(time)}"'
    return (
        f'{{"id":"{id}","boot":"{boot}","monotonic":{monotonic_ns / NANOSECONDS:.6f},'
        f'"time":{when}{more}'
    ).encode()


def stamped(body: bytes, stamp: bytes) -> bytes:
    """Return a JSON object with a stamp as its first fields."""
    rest = body[1:].lstrip()
    return stamp + (b"}" if rest == b"}" else b"," + rest)


def plain_sample(reading: Reading[Any], sample: Sample[Any]) -> tuple[Any, Quality, str]:
    """Return value, quality and reason of a sample, rounded to the precision of its reading."""
    value, quality, reason = sample.value, sample.quality, sample.reason
    if isinstance(value, float) and not math.isfinite(value):  # JSON has no such number
        value, quality, reason = None, Quality.BAD, f"not a finite number: {value}"
    elif isinstance(value, float) and reading.values.precision is not None:
        value = round(value, reading.values.precision)
    return _scalar(value), quality, reason


def _output(output: Output[Any]) -> dict[str, Any]:
    return {**_signal(output.readback), "setpoint": _scalar(output.setpoint)}


def _signal(reading: Reading[Any]) -> dict[str, Any]:
    sample: Sample[Any] = reading.sample
    value, quality, reason = plain_sample(reading, sample)
    signal: dict[str, Any] = {
        "value": value,
        "quality": str(quality),
        "time": None if sample.reason == NO_VALUE_YET else timestamp(sample.time),
    }
    if reading.values.unit:
        signal["unit"] = reading.values.unit
    if quality is not Quality.GOOD:
        signal["reason"] = reason
    return signal


def _scalar(value: Any) -> Any:
    """Return a value as plain JSON; most are, and states are encoded often."""
    kind = type(value)
    plain = kind is bool or kind is int or kind is str or (kind is float and math.isfinite(value))
    return value if plain or value is None else to_plain_or_text(value)


def _refuse(odd: object, where: str) -> Any:
    raise NotEncodableError(f"{where} is a {type(odd).__name__}, which has no JSON form")


def _plain(value: Any, where: str, fallback: Callable[[object, str], Any], depth: int = 0) -> Any:
    if depth > 50:  # also ends what contains itself
        return fallback(value, where)
    kind = type(value)
    if value is None or kind is str or kind is bool or kind is int:  # most are
        return value
    if isinstance(value, Enum):
        return _plain(value.value, where, fallback, depth + 1)
    if isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else fallback(value, where)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, date | PurePath):
        return str(value)
    if not isinstance(value, type):
        if callable(dump := getattr(value, "model_dump", None)):
            return _plain(dump(mode="json"), where, fallback, depth + 1)
        if dataclasses.is_dataclass(value):
            value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {
            _key(key, where, fallback): _plain(each, f"{where}.{key}", fallback, depth + 1)
            for key, each in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v, f"{where}[{i}]", fallback, depth + 1) for i, v in enumerate(value)]
    return fallback(value, where)


def _key(key: Any, where: str, fallback: Callable[[object, str], Any]) -> str:
    if type(key) is str:
        return key
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, str | int):
        return str(key)
    return str(fallback(key, f"a key of {where}"))
