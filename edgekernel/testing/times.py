"""Simulated times as people read them."""

from __future__ import annotations

from edgekernel.core.clock import NANOSECONDS

_MINUTE_NS = 60 * NANOSECONDS
_LONG_NS = 60 * _MINUTE_NS


def span(seconds: float) -> str:
    """Return a length of time, such as "0.25 s"."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + " s"


def moment(monotonic_ns: int) -> str:
    """Return a time since the start, such as "12.5 s"; from an hour on as "1 d 03:00:12.5"."""
    if monotonic_ns < _LONG_NS:
        return span(monotonic_ns / NANOSECONDS)
    minutes, rest_ns = divmod(monotonic_ns, _MINUTE_NS)
    days, minutes = divmod(minutes, 24 * 60)
    whole, fraction = divmod(rest_ns, NANOSECONDS)
    seconds = f"{whole:02}.{fraction:09}".rstrip("0").rstrip(".")
    return f"{days} d {minutes // 60:02}:{minutes % 60:02}:{seconds}"
