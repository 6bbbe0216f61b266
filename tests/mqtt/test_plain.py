"""Plain payloads: what others read of a value."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Device, reading
from edgekernel.core.reading import Reading
from edgekernel.core.sample import Quality
from edgekernel.mqtt.plain import plain_quality, plain_value


class Probe(Device):
    """A reading of each type."""

    ratio = reading(float, precision=2)
    count = reading(int)
    open = reading(bool)
    text = reading(str)


def test_each_type() -> None:
    """Numbers with their precision, switches as ON and OFF, texts as they are."""
    probe = Probe("probe")
    probe.ratio.update(21.456)
    probe.count.update(7)
    probe.open.update(True)
    probe.text.update("geöffnet")
    assert plain_value(probe.ratio) == b"21.46"
    assert plain_value(probe.count) == b"7"
    assert plain_value(probe.open) == b"ON"
    assert plain_value(probe.text) == "geöffnet".encode()
    assert {plain_quality(each) for each in probe.readings.values()} == {b"good"}
    probe.open.update(False)
    assert plain_value(probe.open) == b"OFF"


def test_an_empty_text_does_not_clear_its_topic() -> None:
    """An empty payload would take it off the broker."""
    probe = Probe("probe")
    probe.text.update("")
    assert plain_value(probe.text) == b'""'


@given(st.floats(allow_nan=False, allow_infinity=False), st.text(min_size=1))
def test_what_is_bad_is_no_number(value: float, reason: str) -> None:
    """Whatever was measured last, a reading that is BAD says none; and why is beside it."""
    ratio: Reading[float] = Probe("probe").ratio
    ratio.update(value)
    ratio.fail(reason)
    with pytest.raises(ValueError, match="unavailable"):
        float(plain_value(ratio))
    assert plain_quality(ratio).startswith(b"bad: ")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_comes_back(value: float) -> None:
    """What is good is a number to everybody, the same to its precision."""
    ratio: Reading[float] = Probe("probe").ratio
    ratio.update(value)
    assert ratio.sample.quality is Quality.GOOD
    assert math.isclose(float(plain_value(ratio)), round(value, 2))
