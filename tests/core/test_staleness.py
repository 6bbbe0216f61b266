"""What was not measured for too long is BAD, in simulated time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from edgekernel import (
    Computed,
    ConfigError,
    Device,
    Effect,
    Process,
    Quality,
    Runtime,
    effect,
    message,
    reading,
)
from edgekernel.sim import SimClock
from tests.core.working import Valve, messages_of


class Simulation(Protocol):
    """The fixture `sim`."""

    clock: SimClock

    def runtime(self, **options: Any) -> Runtime: ...
    def advance(self, seconds: float) -> None: ...


class Sensor(Device):
    """Is polled; hangs, or measures only some readings, where it is told to."""

    every = 4.0
    a = reading(int)
    b = reading(int)

    def __init__(self, id: str = "room") -> None:
        super().__init__(id)
        self.poll_group = "bus"
        self.hangs_s = 0.0
        self.measures = ["a", "b"]
        self.polls_done = 0

    def poll(self) -> None:
        if self.hangs_s:
            self.clock.sleep(self.hangs_s)
        self.polls_done += 1
        for name in self.measures:
            self.readings[name].update(self.polls_done)  # type: ignore[arg-type]


class Contact(Device):
    """Reports by itself, without being polled."""

    closed = reading(bool, stale_s=30.0)
    presses = reading(int)


def test_a_poll_that_hangs_makes_its_readings_bad(sim: Simulation) -> None:
    """What a poll that never returns has left behind is BAD after three intervals, says for how
    long it was not measured, and is GOOD again with the next measurement."""
    sensor = Sensor()
    runtime = sim.runtime()
    told = messages_of(runtime, message.DeviceStale)
    runtime.register(sensor)
    runtime.boot()
    sim.advance(5.0)  # measured at 0 and 4
    sensor.hangs_s = 100.0
    sim.advance(10.9)
    assert sensor.a.quality is Quality.GOOD
    sim.advance(0.2)
    assert sensor.a.sample.quality is Quality.BAD
    assert sensor.b.sample.reason == "stale: not measured for 12 s"
    assert told == [message.DeviceStale("room", ("a", "b"), 12.0)]
    sensor.hangs_s = 0.0
    sim.advance(100.0)
    assert sensor.a.quality is Quality.GOOD
    assert len(told) == 1


def test_a_poll_that_hangs_half_way(sim: Simulation) -> None:
    """A poll that has measured something before it hangs leaves that to become stale too, and who
    follows it hears of that while the poll still hangs."""

    class HalfWay(Sensor):
        def poll(self) -> None:
            self.a.update(self.a.sample.value or 1)
            super().poll()

    sensor = HalfWay()
    runtime = sim.runtime()
    runtime.register(sensor)
    runtime.boot()
    sim.advance(1.0)
    seen: list[Quality] = []
    follower = Effect(lambda: seen.append(sensor.a.quality))
    sensor.hangs_s = 1000.0
    sim.advance(14.9)  # since 4, where it has measured `a`
    assert seen == [Quality.GOOD]
    sim.advance(0.2)
    assert seen == [Quality.GOOD, Quality.BAD]
    assert sensor.b.quality is Quality.BAD
    follower.dispose()


@pytest.mark.parametrize(("every", "limit_s"), [(0.1, 5.1), (1.0, 6.0), (2.5, 7.5), (60.0, 180.0)])
def test_the_limit_that_goes_without_saying(sim: Simulation, every: float, limit_s: float) -> None:
    """It is three intervals, five seconds more than one at least."""
    sensor = Sensor()
    sensor.every = every
    runtime = sim.runtime()
    runtime.register(sensor)
    runtime.boot()
    sim.advance(0.01)
    sensor.hangs_s = 1000.0
    sim.advance(limit_s - 0.02)
    assert sensor.a.quality is Quality.GOOD
    sim.advance(0.02)
    assert sensor.a.sample.reason == f"stale: not measured for {limit_s:g} s"


def test_a_device_behind_one_that_hangs(sim: Simulation) -> None:
    """A device whose bus is blocked by another one is stale as well."""
    hanging, other = Sensor("hanging"), Sensor("other")
    runtime = sim.runtime()
    for each in (hanging, other):
        runtime.register(each)
    runtime.boot()
    sim.advance(5.0)
    hanging.hangs_s = 1000.0
    sim.advance(20.0)
    assert other.a.sample.reason == "stale: not measured for 12 s"


def test_polls_that_succeed_keep_what_they_do_not_measure(sim: Simulation) -> None:
    """Without a limit of its own a reading is as fresh as its device: polls that succeed, or
    another reading that is measured, keep it GOOD."""
    sensor = Sensor()
    runtime = sim.runtime()
    runtime.register(sensor)
    runtime.boot()
    sim.advance(1.0)
    sensor.measures = []
    sim.advance(100.0)
    assert sensor.a.quality is Quality.GOOD
    sensor.hangs_s = 1000.0
    for _ in range(20):
        sim.advance(5.0)
        sensor.b.update(1)
    assert sensor.a.quality is Quality.GOOD
    sim.advance(13.0)
    assert sensor.a.sample.quality is Quality.BAD


def test_a_limit_of_its_own(sim: Simulation) -> None:
    """A reading with a limit is BAD when it was not measured itself for that long, whatever its
    device does, and takes no part in the limit of its device."""
    sensor = Sensor()
    sensor.b.stale_s = 10.0
    runtime = sim.runtime()
    runtime.register(sensor)
    runtime.boot()
    sim.advance(1.0)
    sensor.measures = ["a"]
    sim.advance(8.9)
    assert sensor.b.quality is Quality.GOOD
    sim.advance(0.2)
    assert sensor.b.sample.reason == "stale: not measured for 10 s"
    assert sensor.a.quality is Quality.GOOD
    sensor.measures = ["a", "b"]
    sim.advance(4.0)
    assert sensor.b.quality is Quality.GOOD
    sensor.b.stale_s = 100.0
    sensor.hangs_s = 1000.0
    sim.advance(50.0)
    assert (sensor.a.quality, sensor.b.quality) == (Quality.BAD, Quality.GOOD)


def test_a_limit_without_polls(sim: Simulation) -> None:
    """A device that reports by itself is stale by its declared limit only."""
    contact = Contact("door")
    runtime = sim.runtime()
    runtime.register(contact)
    runtime.boot()
    contact.closed.update(True)
    contact.presses.update(1)
    sim.advance(29.9)
    contact.closed.update(True)  # the same again: fresh all the same
    sim.advance(29.9)
    assert contact.closed.value is True
    sim.advance(0.2)
    assert contact.closed.sample.reason == "stale: not measured for 30 s"
    assert contact.presses.value == 1


def test_a_limit_that_is_changed(sim: Simulation) -> None:
    """A limit, or an interval, that is made shorter as it runs counts at once; 0 is none."""
    contact, sensor = Contact("door"), Sensor()
    sensor.every = 3600.0
    runtime = sim.runtime()
    for each in (contact, sensor):
        runtime.register(each)
    runtime.boot()
    contact.closed.update(True)
    contact.presses.update(1)
    sim.advance(5.0)
    contact.presses.stale_s = 8.0
    contact.closed.stale_s = 0
    sensor.every = 1.0
    sensor.poll_at(sim.clock.monotonic_ns())
    sim.advance(0.5)
    sensor.hangs_s = 10_000.0
    sim.advance(3.0)
    assert contact.presses.sample.reason == "stale: not measured for 8 s"
    sim.advance(50.0)
    assert contact.closed.value is True
    assert sensor.a.sample.reason == "stale: not measured for 6 s"


def test_what_is_bad_already_keeps_its_reason(sim: Simulation) -> None:
    """Staleness is not told of a reading that is BAD for another reason, or was never measured."""
    offline, hanging = Sensor("offline"), Sensor("hanging")
    hanging.poll_group = "other"
    hanging.hangs_s = 1000.0
    runtime = sim.runtime()
    told = messages_of(runtime, message.DeviceStale)
    for each in (offline, hanging):
        runtime.register(each)
    runtime.boot()
    sim.advance(1.0)
    offline.set_offline("unplugged")
    offline.hangs_s = 1000.0
    sim.advance(500.0)
    assert offline.a.sample.reason == "offline: unplugged"
    assert hanging.a.sample.reason == "no value yet"
    assert told == []


class SteppedClock(SimClock):
    """A simulated clock whose wall time somebody sets."""

    stepped_s = 0

    def time_ns(self) -> int:
        return super().time_ns() + self.stepped_s * 10**9


def test_the_wall_clock_has_no_say() -> None:
    """P10: a step of the wall time, either way, makes nothing stale and nothing fresh."""
    contact = Contact("door")
    with SteppedClock() as clock:
        runtime = Runtime(clock=clock)
        runtime.register(contact)
        with runtime:
            contact.closed.update(True)
            clock.stepped_s = 3600
            clock.advance(29.0)
            assert contact.closed.quality is Quality.GOOD
            clock.stepped_s = -7200
            clock.advance(2.0)
            assert contact.closed.sample.quality is Quality.BAD


def test_effects_hear_of_it_together(sim: Simulation) -> None:
    """P4: all readings of a device become stale as one change, and what is derived from them with
    them: an effect runs once."""
    sensor = Sensor()
    runtime = sim.runtime()
    runtime.register(sensor)
    runtime.boot()
    sim.advance(1.0)
    total = Computed(lambda: sensor.a.value + sensor.b.value)
    seen: list[tuple[Quality, str]] = []
    seeing = Effect(lambda: seen.append((total.sample.quality, total.sample.reason)))
    sensor.hangs_s = 1000.0
    sim.advance(20.0)
    assert seen == [
        (Quality.GOOD, ""),
        (Quality.BAD, "room.a: stale: not measured for 12 s"),
    ]
    seeing.dispose()


def test_an_output_is_safe_when_its_input_is_stale(sim: Simulation) -> None:
    """P8: when a poll hangs, an output that an effect drives from its reading falls to its safe
    value, and follows the reading again when that is measured."""

    class Heating(Process):
        name = "heating"

        @effect
        def heat(self) -> None:
            valve.open.set(sensor.a.value > 0)

    sensor, valve = Sensor(), Valve("valve")
    runtime = sim.runtime()
    for part in (sensor, valve, Heating()):
        runtime.register(part)
    runtime.boot()
    sim.advance(1.0)
    assert valve.driven[-1] is True
    sensor.hangs_s = 60.0
    sim.advance(20.0)
    assert valve.driven[-1] is False
    sensor.hangs_s = 0.0
    sim.advance(60.0)
    assert valve.driven[-1] is True


def test_an_effect_that_hangs_keeps_no_other_reading_fresh(sim: Simulation) -> None:
    """P2: when what a stale reading has woken hangs, the others still become stale in time."""
    first, second = Contact("first"), Contact("second")
    second.closed.stale_s = 60.0
    runtime = sim.runtime()
    for each in (first, second):
        runtime.register(each)
    runtime.boot()
    for each in (first, second):
        each.closed.update(True)

    def hang() -> None:
        if first.closed.quality is Quality.BAD:
            sim.clock.sleep(10_000.0)

    hanging = runtime.turns.within(lambda: Effect(hang))
    sim.advance(61.0)
    assert second.closed.quality is Quality.BAD
    sim.advance(20_000.0)
    hanging.dispose()


def test_nothing_is_started_where_nothing_can_become_stale(
    make_runtime: Callable[..., Runtime],
) -> None:
    """A device that is not polled and has no limit costs no thread; one that can become stale
    does, until the shutdown."""

    class Plain(Device):
        level = reading(int)

    def watchers() -> int:
        return sum(each.name == "watched:timers" for each in threading.enumerate())

    runtime = make_runtime(name="watched")
    runtime.register(Plain("plain"))
    runtime.boot()
    assert watchers() == 0
    runtime.hot_add(Contact("door"))
    assert watchers() == 1
    runtime.hot_add(Contact("gate"))
    assert watchers() == 1
    runtime.shutdown()
    for each in threading.enumerate():
        if each.name == "watched:timers":
            each.join(10.0)
    assert watchers() == 0


def test_removed_and_added_again(sim: Simulation) -> None:
    """P12: nothing watches a device that was taken out; added again it is watched anew."""
    contact, sensor = Contact("door"), Sensor()
    runtime = sim.runtime()
    told = messages_of(runtime, message.DeviceStale)
    for each in (contact, sensor):
        runtime.register(each)
    runtime.boot()
    contact.closed.update(True)
    sim.advance(5.0)
    for id in ("door", "room"):
        runtime.hot_remove(id)
    sim.advance(100.0)
    assert contact.closed.sample.reason == sensor.a.sample.reason == "detached"
    assert told == []
    for each in (contact, sensor):
        runtime.hot_add(each)
    sim.advance(40.0)
    assert sensor.a.quality is Quality.GOOD
    assert told == []  # not measured since it was added
    contact.closed.update(False)
    sim.advance(31.0)
    assert told == [message.DeviceStale("door", ("closed",), 30.0)]


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_limit_that_is_none_is_refused(seconds: float) -> None:
    """A limit is a number of seconds; anything else is refused where it is written."""
    with pytest.raises(ConfigError, match="stale_s is"):
        reading(int, stale_s=seconds)
    with pytest.raises(ConfigError, match=r"door\.closed: stale_s is"):
        Contact("door").closed.stale_s = seconds
