"""Durations as they are written in a node file."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

_WRONG = 'a duration is a number of seconds or a text like "500ms", "2s", "5min", "12h", "7d"'
_OTHERWISE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.ASCII)
_ALSO = {
    "ms": ("ms", "msec", "msecs", "millisecond", "milliseconds"),
    "s": ("s", "sec", "secs", "second", "seconds"),
    "min": ("m", "min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
    "d": ("d", "day", "days"),
}
"""What else people write for a unit."""

LONGEST_S = 3_162_240_000.0
"""A hundred years."""


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise ValueError(_WRONG + _meant(value))
    return float(match[1]) * _UNITS[match[2]]


def _meant(text: str) -> str:
    """Return what was probably meant, for the end of an error text."""
    if text.strip().startswith("-"):
        return "; it cannot be negative"
    match = _OTHERWISE.fullmatch(text.strip().lower())
    unit = None if match is None else next((u for u, w in _ALSO.items() if match[2] in w), None)
    return f'; did you mean "{match[1]}{unit}"?' if match is not None and unit else ""


def parse_duration(text: str) -> float:
    """Return the seconds of "90", "90s" or "24h". Raises ValueError that says what is allowed."""
    try:
        return float(text)
    except ValueError:
        return float(_seconds(text))


AsSeconds = BeforeValidator(_seconds)
"""Makes a number of seconds of a text such as "2s"; leaves all else for who checks it."""

Duration = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=86400)]
"""Seconds, more than 0 and at most a day; in the file a number or a text such as "2s"."""

LongDuration = Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=LONGEST_S)]
"""Seconds of a simulation, from 0 to a hundred years."""


def _signed_seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip()
    sign = -1.0 if text.startswith("-") else 1.0
    return sign * _seconds(text.removeprefix("-").removeprefix("+"))


SignedDuration = Annotated[float, BeforeValidator(_signed_seconds), Field(allow_inf_nan=False)]
"""Seconds, forward or backward: a number or a text such as "+3h" or "-90s"."""

DurationOrNone = Annotated[float, BeforeValidator(_seconds), Field(ge=0, le=86400)]
"""A duration, or 0 for none."""

Age = Annotated[float, BeforeValidator(_seconds), Field(ge=60, le=3650 * _UNITS["d"])]
"""Seconds, a minute to ten years; in the file a number or a text such as "30d"."""
