"""An effect that needs a reading which is BAD waits for it: told once, and no mistake."""

from __future__ import annotations

import copy
from typing import NamedTuple

import pytest

from edgekernel import BadReadingError, Device, Process, Runtime, effect, message, output, reading
from tests.core.parts import messages_of


class Sensor(Device):
    """Measures what a test says."""

    level = reading(float)


class Valve(Device):
    """Is open or shut."""

    open = output(bool, safe=False)

    @open.drive
    def _drive(self, open_: bool) -> bool:
        return open_


class Control(Process):
    """Opens the valve above 5."""

    name = "control"

    def __init__(self, sensor: Sensor, valve: Valve) -> None:
        self.sensor, self.valve = sensor, valve

    @effect
    def drive(self) -> None:
        self.valve.open.set(self.sensor.level.value > 5)


class Parts(NamedTuple):
    """A runtime with the three."""

    runtime: Runtime
    tank: Sensor
    valve: Valve


@pytest.fixture
def parts() -> Parts:
    """Give the three, not booted yet."""
    made = Parts(Runtime(), Sensor("tank"), Valve("valve"))
    made.runtime.attach_device(made.tank)
    made.runtime.attach_device(made.valve)
    made.runtime.register_process(Control(made.tank, made.valve))
    return made


def test_a_value_that_is_still_to_come_is_no_news(parts: Parts) -> None:
    """Before the first measurement an effect waits without a word, and then does its work."""
    runtime, tank, valve = parts
    waiting = messages_of(runtime, message.EffectWaiting)
    errors = messages_of(runtime, message.EffectError)
    with runtime:
        tank.level.update(7.0)
        assert valve.open.get() is True
    assert (waiting, errors, list(runtime.errors)) == ([], [], [])


def test_one_spell_is_told_once(parts: Parts) -> None:
    """However often the reason changes, the effect tells once for each time it was BAD; the output
    is at its fallback meanwhile."""
    runtime, tank, valve = parts
    waiting = messages_of(runtime, message.EffectWaiting)
    with runtime:
        tank.level.update(7.0)
        for number in range(5):
            tank.level.fail(f"{number} is not from 0 to 9")
        assert valve.open.get() is False
        assert [(w.effect, w.reading, w.reason) for w in waiting] == [
            ("effect control.drive", "tank.level", "0 is not from 0 to 9")
        ]
        tank.level.update(8.0)
        assert valve.open.get() is True
        tank.level.fail("frozen")
        assert [w.reason for w in waiting] == ["0 is not from 0 to 9", "frozen"]


def test_a_sensor_that_never_answers_is_told(parts: Parts) -> None:
    """What has failed before there was any value is told too."""
    runtime, tank, _ = parts
    waiting = messages_of(runtime, message.EffectWaiting)
    with runtime:
        tank.level.fail("no acknowledge")
    assert [w.reason for w in waiting] == ["no acknowledge"]


def test_the_error_says_which_reading() -> None:
    """It has label, reason and spell, also as a copy."""
    sensor = Sensor("tank")
    sensor.level.fail("broken")
    with pytest.raises(BadReadingError, match=r"tank\.level: broken") as caught:
        sensor.level.get()
    again = copy.copy(caught.value)
    assert (again.reading, again.reason, again.spell) == ("tank.level", "broken", 1)
