"""Filters at work in the readings of devices."""

from __future__ import annotations

import math
import threading
from typing import Any, Protocol

import pytest

from edgekernel import (
    ConfigError,
    Device,
    Effect,
    Quality,
    Reading,
    Runtime,
    Sample,
    filters,
    message,
    reading,
)
from edgekernel.core.values import ValueType
from edgekernel.sim import SimClock
from tests.core.working import messages_of


class Simulation(Protocol):
    """The fixture `sim`."""

    clock: SimClock

    def runtime(self, **options: Any) -> Runtime: ...
    def advance(self, seconds: float) -> None: ...


class Room(Device):
    """Reports what it is told to."""

    temperature = reading(
        float, range=(-40, 85), filters=(filters.Median(3), filters.Delta(0.5)), stale_s=60
    )
    steps = reading(int, range=(0, 10), filters=[filters.MovingAverage(2)])
    motion = reading(bool, filters=[filters.DelayedOff(10)])
    level = reading(float, range=(0, 100))


def booted(sim: Simulation, *rooms: Room) -> Runtime:
    """A running runtime with these rooms."""
    runtime = sim.runtime()
    for room in rooms:
        runtime.register(room)
    runtime.boot()
    return runtime


def test_each_instance_has_filters_of_its_own() -> None:
    """What one device has measured does not get into the windows of another."""
    one, two = Room("one"), Room("two")
    for value in (10.0, 10.0, 10.0):
        one.temperature.update(value)
    two.temperature.update(30.0)
    assert (one.temperature.value, two.temperature.value) == (10.0, 30.0)
    assert [type(each).__name__ for each in one.temperature.filters] == ["Median", "Delta"]


def test_filters_of_one_instance_can_be_set() -> None:
    """An instance may have other filters than its class declares; they begin anew."""
    one, two = Room("one"), Room("two")
    one.temperature.update(10.0)
    one.temperature.filters = [filters.Clamp(0, 20)]
    one.level.filters = (filters.Calibrate(gain=2),)
    one.temperature.update(30.0)
    one.level.update(30.0)
    two.level.update(30.0)
    assert (one.temperature.value, one.level.value, two.level.value) == (20.0, 60.0, 30.0)
    one.level.filters = ()
    one.level.update(30.0)
    assert one.level.value == 30.0


def test_the_range_is_that_of_what_comes_out() -> None:
    """Filters see what was measured; the declared range counts for what they make of it."""
    room = Room("room")
    room.level.filters = [filters.Clamp(0, 100)]
    room.level.update(100.4)
    assert room.level.value == 100.0
    room.level.filters = [filters.Calibrate(offset=50)]
    room.level.update(60.0)
    assert room.level.sample == Sample(
        110.0, Quality.BAD, room.level.sample.time_ns, "110.0 is not a number from 0 to 100"
    )


def test_an_integer_stays_one() -> None:
    """A filter that calculates gives an integer reading the nearest integer."""
    room = Room("room")
    room.steps.update(3)
    room.steps.update(8)
    assert room.steps.value in (5, 6)
    assert type(room.steps.value) is int


def test_an_integer_beyond_all_numbers() -> None:
    """A calculation that leaves the finite numbers makes an integer reading BAD, too."""
    room = Room("room")
    room.steps.filters = [filters.Calibrate(gain=1e308)]
    room.steps.update(100)
    assert room.steps.sample.reason == "inf is no finite number"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_reaches_no_window(value: float) -> None:
    """A value that is not finite is BAD, as without filters, and spoils no later value."""
    room = Room("room")
    room.temperature.update(10.0)
    room.temperature.update(value)
    assert room.temperature.sample.quality is Quality.BAD
    assert room.temperature.sample.reason == f"{value} is not a number from -40 to 85"
    room.temperature.update(12.0)
    assert room.temperature.value == 12.0


def test_a_failure_passes_and_a_recovery_follows() -> None:
    """What a driver or the poller calls a failure is BAD at once; the next measurement counts,
    also where it is the same as before."""
    room = Room("room")
    room.temperature.update(10.0)
    room.temperature.fail("offline: unplugged")
    assert room.temperature.sample.reason == "offline: unplugged"
    room.temperature.update(10.0)
    assert room.temperature.value == 10.0


def test_dropped_measurements_keep_a_reading_fresh(sim: Simulation) -> None:
    """A value that a filter drops as hardly new was measured all the same."""
    room = Room("room")
    runtime = booted(sim, room)
    told = messages_of(runtime, message.DeviceStale)
    seen: list[float] = []
    effect = Effect(lambda: seen.append(room.temperature.sample.value or 0))
    for n in range(20):
        room.temperature.update(20.0 + n % 2 / 10)
        sim.advance(50.0)
    assert seen == [0, 20.0]
    assert room.temperature.measured_ns > sim.clock.time_ns() - 51 * 10**9
    assert told == []
    sim.advance(20.0)
    assert room.temperature.sample.reason == "stale: not measured for 60 s"
    room.temperature.update(20.0)
    assert room.temperature.value == 20.0
    effect.dispose()


def test_what_is_delayed_comes_in_time(sim: Simulation) -> None:
    """P10: what a filter holds back comes out at its time on the runtime's clock, and effects
    hear of it, though nobody measures then."""
    room = Room("room")
    runtime = booted(sim, room)
    seen: list[tuple[float, bool]] = []
    room.motion.update(True)
    effect = runtime.turns.within(
        lambda: Effect(lambda: seen.append((sim.clock.monotonic(), room.motion.value)))
    )
    sim.advance(1.0)
    room.motion.update(False)
    sim.advance(9.9)
    assert room.motion.value is True
    sim.advance(0.2)
    assert seen == [(0.0, True), (11.0, False)]
    effect.dispose()


def test_a_chain_of_delays(sim: Simulation) -> None:
    """What one filter lets out late goes through those behind it, which may hold it back too."""
    room = Room("room")
    room.motion.filters = [filters.Debounce(1), filters.DelayedOn(2), filters.Throttle(10)]
    booted(sim, room)
    room.motion.update(False)
    sim.advance(5.0)
    assert room.motion.value is False  # since 1
    room.motion.update(True)
    sim.advance(5.9)  # settled at 6, lasted at 8, throttled until 11
    assert room.motion.value is False
    sim.advance(0.2)
    assert room.motion.peek() is True


def test_late_without_a_runtime() -> None:
    """A reading that no runtime has lets out what was due with its next measurement."""
    now = 0
    motion = Reading("motion", ValueType(bool), lambda: 1, lambda: now)
    motion.filters = [filters.DelayedOn(1)]
    motion.update(True)
    now = 2 * 10**9
    seen: list[object] = []
    effect = Effect(lambda: seen.append(motion.sample.value))
    motion.update(True)
    assert seen == [None, True]
    effect.dispose()


def test_nothing_comes_after_the_removal(sim: Simulation) -> None:
    """P12: what was held back when a device was removed never comes out, and nothing of it is
    left when it is added again."""
    room = Room("room")
    runtime = booted(sim, room)
    room.motion.update(True)
    room.motion.update(False)
    runtime.hot_remove("room")
    sim.advance(60.0)
    assert room.motion.sample.reason == "detached"
    runtime.hot_add(room)
    sim.advance(60.0)
    assert room.motion.sample.reason == "detached"
    room.motion.update(False)
    sim.advance(9.9)
    assert room.motion.quality is Quality.BAD
    sim.advance(0.2)
    assert room.motion.sample.value is False


def test_a_filter_of_ones_own() -> None:
    """A subclass of Filter with one method is a filter; its state is its reading's own."""

    class CountUp(filters.Filter):
        def __init__(self) -> None:
            self.count = 0

        def take(self, sample: Sample[Any], now_ns: int) -> Sample[Any] | None:
            self.count += 1
            return Sample(self.count, sample.quality, sample.time_ns, sample.reason)

    counting = CountUp()
    room = Room("room")
    room.level.filters = [counting]
    for _ in range(3):
        room.level.update(50.0)
    assert (room.level.value, counting.count) == (3, 0)


@pytest.mark.parametrize(
    ("type", "given", "problem"),
    [
        (bool, filters.Median(3), r"Median is for int or float; this reading is bool"),
        (float, filters.DelayedOn(1), r"DelayedOn is for bool; this reading is float"),
        (float, filters.Debounce(1), r"Debounce is for bool or int or str; this reading is float"),
        (int, filters.Median, r"is no filter, such as filters\.Median\(5\)"),
    ],
)
def test_a_filter_that_does_not_fit(type: Any, given: Any, problem: str) -> None:
    """A filter that is not for readings of this type is refused, in the class and in code."""
    with pytest.raises(ConfigError, match=problem):
        reading(type, filters=[given])
    made: Reading[Any] = Reading("r", ValueType(type), lambda: 1)
    with pytest.raises(ConfigError, match=f"r: .*{problem}"):
        made.filters = [given]
    assert made.filters == ()


def test_many_threads_measure_at_once(eager_switching: None) -> None:
    """P4: measurements from several threads go through the filters one at a time, none is lost
    between them, and no effect sees a value that never was."""
    room = Room("room")
    room.level.filters = [filters.MovingAverage(4)]
    seen: list[float] = []
    room.level.update(50.0)
    effect = Effect(lambda: seen.append(room.level.value))

    def measure() -> None:
        for n in range(300):
            room.level.update(40.0 if n % 2 else 60.0)

    threads = [threading.Thread(target=measure) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert all(40.0 <= value <= 60.0 for value in seen)
    for _ in range(4):
        room.level.update(45.0)
    assert room.level.value == 45.0
    effect.dispose()
