"""Plain payloads: the value of a signal as the text that other systems expect, and its quality.

ON and OFF are what Tasmota, openHAB and Home Assistant say by default. A value that is BAD is no
text that could be taken for a measurement, so that nobody shows a frozen sensor as if it measured.
"""

from __future__ import annotations

from typing import Any

from edgekernel.core.reading import Reading
from edgekernel.core.sample import Quality, Sample
from edgekernel.mqtt.encoding import encode, plain_sample

ON, OFF = b"ON", b"OFF"
UNAVAILABLE = b"unavailable"
"""Instead of a value that is BAD; no number in any language."""
NO_TEXT = b'""'
"""Instead of an empty text, which would take the topic off the broker."""
ANSWERS, SILENT = b"online", b"offline"
"""Of a device."""


def plain_value(reading: Reading[Any]) -> bytes:
    """Return the value of a reading or readback; an effect that calls this depends on it."""
    value, quality, _ = plain_sample(reading, _sample(reading))
    if quality is Quality.BAD or value is None:
        return UNAVAILABLE
    if isinstance(value, bool):
        return ON if value else OFF
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace") or NO_TEXT
    return encode(value)


def plain_quality(reading: Reading[Any]) -> bytes:
    """Return `good`, or the quality and why it is not."""
    _, quality, reason = plain_sample(reading, _sample(reading))
    return (f"{quality}: {reason}" if quality is not Quality.GOOD else str(quality)).encode()


def plain_online(online: bool) -> bytes:
    """Return whether a device answers."""
    return ANSWERS if online else SILENT


def _sample(reading: Reading[Any]) -> Sample[Any]:
    return reading.sample
