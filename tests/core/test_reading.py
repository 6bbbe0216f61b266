"""Readings: values with quality."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Computed, Device, Effect, Quality, Reading, Sample, reading
from edgekernel.core.errors import BadReadingError
from edgekernel.core.values import ValueType


class Clockwork:
    """A wall time that goes on by one at each look."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 1
        return self.now


@pytest.fixture
def temperature() -> Reading[float]:
    """A reading with a range."""
    return Reading("room.temperature", ValueType(float, "°C", (-40.0, 85.0)), Clockwork())


def test_begins_bad(temperature: Reading[float]) -> None:
    """A reading has no value before the first measurement, and says so by its name."""
    assert temperature.quality is Quality.BAD
    assert temperature.measured_ns == 0
    for read in (temperature.get, temperature.peek, lambda: temperature.value):
        with pytest.raises(BadReadingError, match=r"room\.temperature: no value yet"):
            read()


def test_a_measurement_is_good(temperature: Reading[float]) -> None:
    """A measurement within the range is GOOD and carries its time."""
    temperature.update(21.5)
    assert (temperature.value, temperature.get(), temperature.peek()) == (21.5, 21.5, 21.5)
    assert temperature.sample.quality is Quality.GOOD
    assert temperature.measured_ns == temperature.sample.time_ns > 0


@given(value=st.floats())
def test_only_what_is_in_range_is_good(value: float) -> None:
    """A measurement is GOOD exactly if it lies in the range; otherwise BAD with the reason."""
    temperature = Reading("t", ValueType(float, "°C", (-40.0, 85.0)), Clockwork())
    temperature.update(value)
    if -40.0 <= value <= 85.0:
        assert temperature.value == value
    else:
        assert temperature.quality is Quality.BAD
        with pytest.raises(BadReadingError, match="is not a number from -40 to 85"):
            temperature.get()


def test_no_number_is_never_good() -> None:
    """A measurement that is no finite number is BAD also without a range."""
    level = Reading("level", ValueType(float), Clockwork())
    for value in (math.nan, math.inf):
        level.update(value)
        assert level.quality is Quality.BAD


def test_a_failure_keeps_the_last_value_visible(temperature: Reading[float]) -> None:
    """After a failure the value is refused, but the sample still shows the last one."""
    temperature.update(21.5)
    temperature.fail("offline: unplugged")
    assert temperature.sample.value == 21.5
    assert temperature.sample.reason == "offline: unplugged"
    with pytest.raises(BadReadingError, match="offline: unplugged"):
        temperature.get()
    temperature.update(22.0)
    assert temperature.value == 22.0


def test_a_driver_may_have_doubts(temperature: Reading[float]) -> None:
    """An UNCERTAIN value can be read and says why; of one that the driver calls BAD the sample
    shows what was measured."""
    temperature.update(21.5, Quality.UNCERTAIN, "warming up")
    assert (temperature.value, temperature.quality) == (21.5, Quality.UNCERTAIN)
    assert temperature.sample.reason == "warming up"
    temperature.update(85.0, Quality.BAD, "the value after power-on")
    assert temperature.sample.value == 85.0
    with pytest.raises(BadReadingError, match=r"room\.temperature: the value after power-on"):
        temperature.get()
    temperature.update(21.5)
    assert (temperature.quality, temperature.sample.reason) == (Quality.GOOD, "")


def test_a_doubtful_value_out_of_range_is_bad(temperature: Reading[float]) -> None:
    """The range counts for UNCERTAIN values too."""
    temperature.update(99.0, Quality.UNCERTAIN, "warming up")
    assert temperature.sample.reason == "99.0 is not a number from -40 to 85 °C"


def test_a_quality_has_a_reason(temperature: Reading[float]) -> None:
    """A doubt without a reason, and a reason without a doubt, are refused; nothing changes."""
    for quality, reason in ((Quality.UNCERTAIN, ""), (Quality.BAD, ""), (Quality.GOOD, "why")):
        with pytest.raises(ValueError, match=r"room\.temperature: a reason goes with"):
            temperature.update(1.0, quality, reason)
    assert temperature.measured_ns == 0


def test_measuring_the_same_again_is_no_change(temperature: Reading[float]) -> None:
    """P4: an equal measurement runs nothing, and renews the time of the measurement."""
    seen: list[float] = []
    temperature.update(21.5)
    effect = Effect(lambda: seen.append(temperature.value))
    before = temperature.measured_ns
    temperature.update(21.5)
    assert temperature.measured_ns > before
    temperature.update(22.0)
    assert seen == [21.5, 22.0]
    effect.dispose()


def test_dependants_recover(temperature: Reading[float]) -> None:
    """P4: what depends on a reading fails while it is BAD and recovers by itself."""
    too_hot = Computed(lambda: temperature.value > 28.0)
    seen: list[bool] = []
    errors: list[Exception] = []
    effect = Effect(lambda: seen.append(too_hot.get()), on_error=errors.append)
    temperature.update(30.0)
    temperature.fail("offline")
    temperature.fail("offline")
    temperature.update(20.0)
    assert seen == [True, False]
    assert [type(error) for error in errors] == [BadReadingError, BadReadingError]
    effect.dispose()


def test_quality_can_be_depended_on(temperature: Reading[float]) -> None:
    """P4: an effect may follow the quality instead of the value."""
    seen: list[Quality] = []
    effect = Effect(lambda: seen.append(temperature.quality))
    temperature.update(20.0)
    temperature.fail("offline")
    assert seen == [Quality.BAD, Quality.GOOD, Quality.BAD]
    effect.dispose()


def test_declared_on_a_device() -> None:
    """Each instance of a device has its own readings, in the order of the declaration."""

    class Weather(Device):
        temperature = reading(float, unit="°C", range=(-40, 85), precision=1)
        raining = reading(bool)

    one, two = Weather("one"), Weather("two")
    one.temperature.update(20.0)
    assert list(one.readings) == ["temperature", "raining"]
    assert one.readings["temperature"] is one.temperature
    assert one.temperature.label == "one.temperature"
    assert two.temperature.quality is Quality.BAD
    assert Weather.temperature.values.unit == "°C"


def test_samples() -> None:
    """Two samples say the same if all but their times is equal; a time is in UTC."""
    old, new = Sample(1.0, Quality.GOOD, 1), Sample(1.0, Quality.GOOD, 2)
    assert old.says_the_same(new)
    assert not old.says_the_same(Sample(1.0, Quality.BAD, 1, "why"))
    assert not old.says_the_same(Sample(2.0, Quality.GOOD, 1))
    assert old.time.tzinfo is not None
    assert old.time.year == 1970
