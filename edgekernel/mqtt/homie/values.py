"""Payloads of Homie: values as text, and texts as values, by datatype.

Source: The Homie Convention 5.0, "Payloads".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from edgekernel.core.errors import InvalidValueError
from edgekernel.mqtt.payloads import parse_json

Datatype = Literal["integer", "float", "boolean", "string", "enum", "datetime", "duration", "json"]
"""Those that a node uses; nothing in it is a "color"."""

EMPTY = b"\0"
"""The empty text: an empty payload would take the topic off the broker ("Empty string values")."""

_INTEGER = re.compile(r"-?[0-9]{1,19}")
_FLOAT = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE]-?[0-9]+)?")
_DURATION = re.compile(r"PT(?=.)([0-9]+H)?([0-9]+M)?([0-9]+(\.[0-9]+)?S)?")
_64_BITS = range(-(2**63), 2**63)


def encode_value(value: bool | int | float | str) -> bytes:
    """Return a value as payload; a number that is finite.

    An exponent has no "+", which a float may not contain.
    """
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, str):
        return value.encode("utf-8", "replace") or EMPTY
    return repr(value).replace("e+", "e").encode("ascii")


def decode_value(payload: bytes, datatype: Datatype, format: str = "") -> Any:
    """Return the value of a payload. Raises InvalidValueError that says what is allowed."""
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidValueError("the payload is not UTF-8") from None
    if datatype == "string":
        return "" if payload == EMPTY else text
    if datatype == "enum":
        return _enum(text, format)
    return _READERS[datatype](text)


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise _wrong(text, "true or false")
    return text == "true"


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text) or int(text) not in _64_BITS:
        raise _wrong(text, "a whole number of 64 bits, such as -12")
    return int(text)


def _float(text: str) -> float:
    if not _FLOAT.fullmatch(text) or abs(value := float(text)) == float("inf"):
        raise _wrong(text, "a number such as 21.5 or -1e-3")
    return value


def _enum(text: str, format: str) -> str:
    if text not in format.split(","):
        raise _wrong(text, f"one of {format}")
    return text


def _datetime(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise _wrong(text, "a time as in ISO 8601, such as 2026-01-31T12:00:00Z") from None
    return text


def _duration(text: str) -> str:
    if not _DURATION.fullmatch(text):
        raise _wrong(text, "a duration such as PT12H5M46S")
    return text


def _json(text: str) -> Any:
    value = parse_json(text.encode())
    if not isinstance(value, dict | list):
        raise _wrong(text, "a JSON object or array")
    return value


_READERS: dict[str, Callable[[str], Any]] = {
    "boolean": _boolean,
    "integer": _integer,
    "float": _float,
    "datetime": _datetime,
    "duration": _duration,
    "json": _json,
}


def _wrong(text: str, allowed: str) -> InvalidValueError:
    return InvalidValueError(f"{text[:80]!r} is not allowed: {allowed}")
