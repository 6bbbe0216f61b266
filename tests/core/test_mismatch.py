"""Mismatch: hardware that does not do what it is told is found out."""

from __future__ import annotations

from typing import Any

import pytest

from edgekernel import BadReadingError, Limits, Quality, message
from edgekernel.core.mismatch import same
from edgekernel.core.values import ValueType
from tests.core.driving import Plant, Running


def test_a_stuck_output_is_told_once(sim: Any) -> None:
    """After the limit the readback is BAD with the reason, and the episode has one message."""
    run = Running(sim, valve=Limits(mismatch_s=2))
    valve = run.plant.valve
    valve.set(0.2)
    run.plant.stuck = True
    valve.set(0.8)
    assert valve.readback.quality is Quality.GOOD
    run.advance(1.9)
    assert (valve.value, run.told) == (0.2, [])
    run.advance(0.2)
    with pytest.raises(BadReadingError, match=r"is 0\.2 and not 0\.8, as it was told, for 2 s"):
        valve.get()
    assert valve.setpoint == 0.8
    run.advance(60)
    valve.set(0.8)
    run.advance(60)
    assert run.told == [message.OutputMismatch("plant.valve", 0.8, 0.2, 2)]


def test_it_is_told_when_it_is_healed(sim: Any) -> None:
    """The next write that comes through makes the readback GOOD and ends the episode."""
    run = Running(sim, valve=Limits(mismatch_s=2))
    run.plant.stuck = True
    run.plant.hardware["valve"] = 0.0
    run.plant.valve.set(0.8)
    run.advance(5)
    run.plant.stuck = False
    run.plant.valve.set(0.8)
    assert run.plant.valve.value == 0.8
    run.advance(0.1)
    assert [type(each) for each in run.told] == [message.OutputMismatch, message.OutputMatches]
    run.plant.stuck = True
    run.plant.valve.set(0.1)
    run.advance(5)
    assert len(run.told) == 3


def test_hardware_that_follows_in_time_is_right(sim: Any) -> None:
    """What a poll reports within the limit is no mismatch."""
    run = Running(sim, valve=Limits(mismatch_s=2))
    run.plant.stuck = True
    run.plant.hardware["valve"] = 0.0
    run.plant.valve.set(0.8)
    run.advance(1)
    run.plant.valve.readback.update(0.8)
    run.advance(10)
    assert (run.plant.valve.value, run.told) == (0.8, [])


def test_polls_are_looked_at(sim: Any) -> None:
    """Hardware that goes its own way later is found out by what polls report, and stays BAD."""

    class Polled(Plant):
        every = 1.0

        def poll(self) -> None:
            self.valve.readback.update(self.hardware.get("valve", 0.0))

    plant = Polled(valve=Limits(mismatch_s=2.5))
    told: list[Any] = []
    runtime = sim.runtime()
    runtime.subscribe(message.OutputMismatch, lambda event: told.append(event.payload))
    runtime.register(plant)
    runtime.boot()
    plant.valve.set(0.5)
    sim.advance(10.5)
    assert plant.valve.value == 0.5
    plant.hardware["valve"] = 0.1
    qualities = []
    for _ in range(60):
        sim.advance(0.1)
        qualities.append(plant.valve.readback.quality)
    assert qualities == [Quality.GOOD] * 29 + [Quality.BAD] * 31
    assert len(told) == 1
    plant.hardware["valve"] = 0.5
    sim.advance(1)
    assert plant.valve.value == 0.5


def test_what_can_be_read_is_read_again(sim: Any) -> None:
    """A driver that can read is asked again: a device without polls heals by itself."""
    run = Running(sim, pump=Limits(mismatch_s=2))
    run.plant.stuck = True
    run.plant.hardware["pump"] = False
    run.plant.pump.set(True)
    run.advance(3)
    assert run.plant.pump.readback.quality is Quality.BAD
    run.plant.hardware["pump"] = True
    run.advance(2)
    assert run.plant.pump.value is True
    assert [type(each) for each in run.told] == [message.OutputMismatch, message.OutputMatches]


def test_stuck_hardware_is_found_although_the_setpoint_moves(sim: Any) -> None:
    """A controller that asks for another value every second does not hide that nothing moves."""
    run = Running(sim, valve=Limits(mismatch_s=5))
    run.plant.stuck = True
    run.plant.hardware["valve"] = 0.0
    for n in range(1, 9):
        run.plant.valve.set(n / 10)
        run.advance(1)
    assert [type(each) for each in run.told] == [message.OutputMismatch]


def test_nothing_is_told_after_the_detach(sim: Any) -> None:
    """A device that is not there is not watched."""
    run = Running(sim, valve=Limits(mismatch_s=2))
    run.plant.stuck = True
    run.plant.hardware["valve"] = 0.0
    run.plant.valve.set(0.8)
    run.runtime.hot_remove("plant")
    run.advance(10)
    assert run.told == []


@pytest.mark.parametrize(
    ("values", "one", "other", "equal"),
    [
        (ValueType(float, precision=2), 0.501, 0.505, True),
        (ValueType(float, precision=2), 0.50, 0.51, False),
        (ValueType(float, precision=0), 20.0, 20.9, True),
        (ValueType(float), 0.1 + 0.2, 0.3, True),
        (ValueType(float), 0.3, 0.3001, False),
        (ValueType(int), 3, 4, False),
        (ValueType(str), "a", "a", True),
    ],
)
def test_numbers_are_compared_with_their_precision(
    values: ValueType[Any], one: Any, other: Any, equal: bool
) -> None:
    """What differs by less than one unit of the last declared decimal is the same."""
    assert same(one, other, values) is equal
