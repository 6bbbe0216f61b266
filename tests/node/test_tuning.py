"""What a node file says of readings, in devices that run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Device, Quality, Reading, Runtime
from edgekernel.core.errors import ConfigError
from edgekernel.core.values import ValueType
from edgekernel.node import make_plan
from edgekernel.node.filters import FilterTable
from edgekernel.node.simulate import assemble_simulated
from edgekernel.node.tuning import ReadingTuning, Tuning
from edgekernel.sim import SimClock

NodeFile = Callable[..., Path]

ROOM = """
[devices.room]
driver = "bme280"
bus = "i2c1"
filters = [{ median = 3 }, { delta = 0.5 }]
stale = "2min"

[devices.room.readings.temperature]
filters = [{ calibrate = { offset = -2.0 } }]

[devices.room.readings.humidity]
stale = "30s"

[devices.door]
driver = "button"
pin = "GPIO22"
filters = [{ delayed_off = "10s" }]
"""


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


def kinds(reading: Reading[Any]) -> list[str]:
    """The names of a reading's filters."""
    return [type(each).__name__ for each in reading.filters]


def test_device_and_reading(node_file: NodeFile, clock: SimClock) -> None:
    """What is said of a device counts for each reading of it, what is said of one reading counts
    for that one instead."""
    runtime, _ = assemble_simulated(make_plan(node_file(ROOM)), clock, Runtime)
    room: Any = runtime.devices["room"]
    door: Any = runtime.devices["door"]
    assert kinds(room.temperature) == ["Calibrate"]
    assert kinds(room.humidity) == kinds(room.pressure) == ["Median", "Delta"]
    assert kinds(door.pressed) == ["DelayedOff"]
    limits = [each.stale_s for each in room.readings.values()]
    assert limits == [120.0, 30.0, 120.0]
    assert door.pressed.stale_s is None


def test_it_works(node_file: NodeFile, clock: SimClock) -> None:
    """The filters and limits of a node file are at work in the running node, drivers unchanged."""
    runtime, bench = assemble_simulated(make_plan(node_file(ROOM)), clock, Runtime)
    with runtime:
        room: Any = runtime.devices["room"]
        door: Any = runtime.devices["door"]
        clock.advance(3.5)
        assert room.temperature.value == pytest.approx(18.0, abs=0.02)
        bench.chip("room").humidity_percent = 50.2
        clock.advance(5.0)
        assert room.humidity.value == pytest.approx(50.0, abs=0.01)
        bench.press("door", 1.0)
        clock.advance(10.5)
        assert door.pressed.value is True
        clock.advance(1.0)
        assert door.pressed.value is False
        room.poll = lambda: clock.sleep(1000.0)
        clock.advance(40.0)
        assert room.humidity.sample.reason == "stale: not measured for 30 s"
        assert room.temperature.quality is Quality.GOOD


def test_a_list_of_ones_own_may_be_empty(node_file: NodeFile, clock: SimClock) -> None:
    """An empty list, or a limit of 0, takes away what is said of all readings."""
    text = ROOM.replace("filters = [{ calibrate = { offset = -2.0 } }]", "filters = []\nstale = 0")
    runtime, _ = assemble_simulated(make_plan(node_file(text)), clock, Runtime)
    room: Any = runtime.devices["room"]
    assert (room.temperature.filters, room.temperature.stale_s) == ((), None)


class Line(Device):
    """Has the readings that its settings name, known when it is made."""

    def __init__(self, id: str, readings: dict[str, type]) -> None:
        super().__init__(id)
        self._made: dict[str, Reading[Any]] = {
            name: Reading(f"{id}.{name}", ValueType(type), self.now_ns, self.monotonic_ns)
            for name, type in readings.items()
        }

    @property
    def readings(self) -> Any:
        return self._made


def test_readings_that_are_made_from_settings() -> None:
    """A driver that makes its readings itself is tuned like any other; what does not fit them is
    told by their names."""
    median = FilterTable.model_validate({"median": 3})
    delayed = FilterTable.model_validate({"delayed_on": 3})
    line = Line("line", {"level": float, "full": bool})
    types = {name: each.values.type for name, each in line.readings.items()}
    tuning = Tuning((median, delayed), None, {"level": ReadingTuning(None, 5.0)})
    tuning.check("line", types)
    tuning.apply(line)
    assert kinds(line.readings["level"]) == ["Median"]
    assert kinds(line.readings["full"]) == ["DelayedOn"]
    assert line.readings["level"].stale_s == 5.0
    with pytest.raises(ConfigError, match=r"\.readings\.levle: unknown reading; did you mean"):
        Tuning(readings={"levle": ReadingTuning()}).check("line", types)
