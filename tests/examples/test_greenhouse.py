"""The greenhouse: the same node file and application, through simulated days."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from math import cos, pi
from pathlib import Path
from typing import Any

import pytest

from edgekernel.sim.faults import (
    Bounce,
    ClockStep,
    Fault,
    Garbage,
    Hang,
    Nack,
    Offset,
    Stuck,
    Unplug,
)
from edgekernel.testing import Simulation, assert_reading
from edgekernel.testing.node import applications_forgotten, start_node
from edgekernel.testing.plugin import NodeFactory

NODE = Path(__file__).parents[2] / "examples" / "greenhouse" / "node.toml"

DAY_S = 86400
WARM_UP_S = 1800
TARGET = 21.0
HYSTERESIS = 0.5
HEATER = 0.06  # °C per second, of which the losses take a share
OVERSHOOT = HEATER * (10 + 1)  # before the next poll and the next step of the world
TOO_HOT = TARGET + 4


@pytest.fixture
def house(node: NodeFactory) -> Any:
    """The greenhouse of the node file, at midnight."""
    return node(NODE)


def air(house: Any) -> float:
    """Return the temperature of the air at the sensor, in °C."""
    return float(house.chip("room").temperature_c)


def outside(now: float) -> float:
    """Return the temperature outside, in °C: 4 at 4 o'clock, 26 at 16 o'clock."""
    return 15 - 11 * cos(2 * pi * (now - 4 * 3600) / DAY_S)


def steps(sim: Simulation, seconds: float) -> Iterator[float]:
    """Let time pass in steps of 10 s; yield the time of day, in seconds, at each."""
    end = sim.clock.monotonic() + seconds
    while sim.clock.monotonic() < end:
        sim.run(10)
        yield sim.clock.monotonic() % DAY_S


def same_twice(drive: Callable[[Simulation, Any], None], faults: tuple[Fault, ...] = ()) -> Any:
    """Run the greenhouse twice in simulations of their own; return the second one, after asserting
    that they have the same events to the last digit."""
    houses: list[Any] = []
    for _ in range(2):
        with applications_forgotten(), closing(Simulation()) as sim:
            houses.append(start_node(sim, NODE, NODE.parent, faults=faults))
            drive(sim, houses[-1])
    first, second = (
        [(e.seq, e.time_ns, e.source, e.cause, repr(e.payload)) for e in house.events]
        for house in houses
    )
    assert first == second
    return houses[-1]


def test_day(house: Any, sim: Simulation) -> None:
    """Through a day the air stays at the target whenever outside is colder, the vent opens in
    the heat of the afternoon and closes again, and the day is summed up once."""
    both = sim.watch(lambda: house.is_on("heater") and house.is_on("vent"), "heating and airing")
    vent = sim.watch(lambda: house.is_on("vent"), "airing")
    sim.run(WARM_UP_S)
    vent.assert_never()
    for now in steps(sim, DAY_S - WARM_UP_S + 60):
        assert air(house) > TARGET - HYSTERESIS - OVERSHOOT
        if house.is_on("heater") or max(outside(now), outside(now - 3600)) < TARGET:
            assert air(house) < TARGET + HYSTERESIS + OVERSHOOT
        assert air(house) < max(TOO_HOT, outside(now)) + OVERSHOOT
    both.assert_never()
    assert vent.spans[0].begin_ns / 3600e9 > 10
    assert vent.spans[-1].end_ns / 3600e9 < 21
    assert house.runtime.error_count == 0
    (day,) = house.events.of("daily.summary")
    assert day.day == "2026-01-01"
    assert 17.0 <= day.lowest < TARGET  # it begins at 17 °C
    assert TARGET < day.mean < day.highest < 26 + OVERSHOOT
    assert 60 < day.heated_min < 1200
    assert len(house.events.of("heartbeat")) == (DAY_S + 60) / 60 + 1
    assert {event.payload.severity.name for event in house.events} == {"INFO"}


def test_day_is_the_same_twice() -> None:
    """Two runs of a day, disturbed in the same way, have the same events to the last digit."""

    def drive(sim: Simulation, house: Any) -> None:
        sim.run(20_000)
        house.press("airing", 0.3)
        sim.run(10_000.3)
        house.invoke("climate.set_target", celsius=24.5)
        sim.run(DAY_S - 30_000.3)

    assert len(same_twice(drive).events) > 1500


def test_button_toggles_airing(house: Any, sim: Simulation) -> None:
    """A press of the button opens the vent, the next one closes it; bouncing counts once."""
    sim.run(WARM_UP_S)
    for expected in (True, False, True, False):
        for _ in range(5):  # contacts bounce for some milliseconds
            house.press("airing", 0.001)
            sim.run(0.002)
        house.press("airing", 0.2)
        sim.run(0.2)
        assert house.is_on("vent") is expected
        sim.run(0.2)
        assert house.is_on("vent") is expected
    assert len(house.events.of("button.pressed")) == len(house.events.of("button.released")) == 4


def test_heater_is_off_without_a_temperature(node: NodeFactory, sim: Simulation) -> None:
    """While the sensor does not answer the heater is never on; when it answers again, the
    greenhouse is heated as before."""
    house: Any = node(NODE, faults=[Fault(Unplug(), device="room", at_s=60, for_s=3600)])
    sim.run_until(lambda: house.is_on("heater"), within=60)
    sim.run_until(lambda: not house.room.online, within=80)
    lit = sim.watch(lambda: house.is_on("heater") or house.is_on("lamp"), "heating")
    sim.run(3580)
    lit.assert_never()
    assert air(house) < TARGET - HYSTERESIS - 3
    sim.run_until(lambda: house.is_on("heater"), within=90)
    sim.run(3600)
    assert_reading(house.room.temperature, TARGET, abs=HYSTERESIS + OVERSHOOT)
    assert len(house.events.of("device.offline")) == 1
    house.runtime.shutdown()
    assert not house.is_on("heater")


FAULTS = (
    Fault(Nack(), device="room", at_s=2 * 3600, for_s=1200),
    Fault(Offset(by=4, quantity="temperature_c"), device="room", at_s=5 * 3600, for_s=3600),
    Fault(Stuck(), bus="i2c1", at_s=8 * 3600, for_s=900),
    Fault(Garbage(), port="uart0", every_s=3 * 3600),
    Fault(Bounce(), device="airing", at_s=0),
    Fault(Unplug(), device="position", at_s=12 * 3600, for_s=3600),
    Fault(ClockStep(by=-600), at_s=18 * 3600),
    Fault(Hang(), device="room", at_s=20 * 3600, every_s=3600, for_s=600, probability=0.7),
)


def test_day_with_faults() -> None:
    """Through a day in which much goes wrong the heater is on by a trusted temperature only, what
    works goes on, and in the end all is as before; twice the same."""

    def drive(sim: Simulation, house: Any) -> None:
        blind = sim.watch(
            lambda: house.is_on("heater") and not house.room.online, "heating blindly"
        )
        for now in steps(sim, DAY_S - 60):
            if 5.5 * 3600 < now < 6 * 3600:  # it is told 4 °C too much, and believes it
                humidity = house.chip("room").humidity_percent
                assert 20 - (humidity - 60) / 1.5 < TARGET - 3  # as the world makes it
        blind.assert_never()
        assert house.runtime.error_count == 0

    house = same_twice(drive, FAULTS)
    offline = house.events.of("device.offline")
    assert {told.device for told in offline} == {"room", "i2c1", "position"}
    assert len(house.events.of("device.online")) == len(offline) + len(house.runtime.devices)
    began, ended = house.events.of("fault.began"), house.events.of("fault.ended")
    lasting = [told for told in began if told.kind not in ("garbage", "clock_step")]
    assert len(lasting) == len(ended) >= 6


def test_target_is_set_by_command(house: Any, sim: Simulation) -> None:
    """A new target is kept to; one outside 5 to 35 °C is refused and changes nothing."""
    sim.run(WARM_UP_S)
    assert house.invoke("climate.set_target", celsius=16) == TARGET
    sim.run(WARM_UP_S)
    with pytest.raises(ValueError, match="celsius: 36 is not allowed; at most 35"):
        house.invoke("climate.set_target", celsius=36)
    for _ in steps(sim, 3600):
        assert abs(air(house) - 16) < HYSTERESIS + OVERSHOOT
