"""How a node file lets a bus be freed: nine clocks through spare lines, and a power cycle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Message, Quality, Runtime, message
from edgekernel.backends.recording import LineEdge, RecordingBackend, Transaction
from edgekernel.backends.sim import SimBackend, SimI2CBus
from edgekernel.node import assemble, make_plan
from edgekernel.node.pinout import headers
from edgekernel.node.simulate import assemble_simulated, plug_chips
from edgekernel.sim import Bench, SimClock

NodeFile = Callable[..., Path]

CLOCKS = '[buses.i2c1.recovery]\nscl = "GPIO5"\nsda = "GPIO6"\n'
POWER = '[buses.i2c1.recovery]\npower = "GPIO13"\noff_for = "200ms"\n'
PARTS = """
[devices.meter]
driver = "ina219"
bus = "i2c1"
address = 0x41

[devices.dimmer]
driver = "pca9685"
bus = "i2c1"
address = 0x40
"""


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


def simulated(path: Path, clock: SimClock) -> tuple[Runtime, Bench, SimI2CBus]:
    """Return a node, its surroundings, and its bus from outside."""
    runtime, bench = assemble_simulated(make_plan(path), clock, Runtime)
    return runtime, bench, bench.backend.bus("i2c1")


def test_nine_clocks(node_file: NodeFile, clock: SimClock) -> None:
    """A bus on which a chip holds SDA until it is clocked works again within seconds, through the
    spare lines that the node file names, and nobody is told a wrong value."""
    runtime, bench, bus = simulated(node_file(CLOCKS + PARTS), clock)
    with runtime:
        clock.advance(3)
        bus.stick("sda", until="clocks")
        assert not bench.line("GPIO6").level  # wired to the bus
        clock.advance(5)
        assert bus.stuck is None
        assert runtime.devices["i2c1"].readings["recoveries"].value == 1
        assert all(device.online for device in runtime.devices.values())
        for each in runtime.devices["meter"].readings.values():
            assert each.quality is Quality.GOOD
        # Both lines are let go: only then the controller has the bus.
        assert [bench.backend.line(n).function for n in ("GPIO5", "GPIO6")] == ["input"] * 2


def test_without_it_the_bus_stays_stuck(node_file: NodeFile, clock: SimClock) -> None:
    """The same bus stays stuck if the node file names no way to free it."""
    runtime, _, bus = simulated(node_file(PARTS), clock)
    with runtime:
        clock.advance(3)
        bus.stick("sda", until="clocks")
        clock.advance(120)
        assert bus.stuck == "sda"
        assert not runtime.devices["meter"].online


def test_clocks_that_do_not_help(node_file: NodeFile, clock: SimClock) -> None:
    """Where clocks alone do not free the bus, it is out of use as without them."""
    runtime, _, bus = simulated(node_file(CLOCKS + PARTS), clock)
    with runtime:
        clock.advance(3)
        bus.stick("sda")
        clock.advance(20)
        assert not runtime.devices["i2c1"].online
        assert "sda is held low" in runtime.devices["i2c1"].offline_error


@pytest.mark.parametrize("active_high", [True, False])
def test_power_cycle(node_file: NodeFile, clock: SimClock, active_high: bool) -> None:
    """A bus that only a loss of power frees is free within seconds: the chips are off for as long
    as was said, once, and each is set up anew, outputs included."""
    active = f"active_high = {str(active_high).lower()}\n"
    runtime, bench, bus = simulated(node_file(POWER + active + PARTS), clock)
    with runtime:
        clock.advance(3)
        power = bench.backend.line("GPIO13")
        assert power.level == active_high
        switched: list[tuple[bool, float]] = []
        power.watch(lambda level: switched.append((level, clock.monotonic())))
        lamp: Any = runtime.devices["dimmer"].outputs["channel3"]
        lamp.set(0.5)
        bus.stick("sda", until="power")
        clock.advance(10)
        assert [level for level, _ in switched] == [not active_high, active_high]
        assert switched[1][1] - switched[0][1] == pytest.approx(0.2)
        assert bus.stuck is None
        assert all(device.online for device in runtime.devices.values())
        assert runtime.devices["i2c1"].readings["power_cycles"].value == 1
        meter: Any = runtime.devices["meter"]
        assert meter.readings["voltage"].value == pytest.approx(5.0, abs=0.01)
        assert bench.actuator("dimmer.share.3").share == pytest.approx(0.5, abs=0.001)


def test_nobody_meets_a_chip_that_forgot(node_file: NodeFile, clock: SimClock) -> None:
    """Before their power is cut all devices of the bus are offline, and none is back before."""
    runtime, bench, bus = simulated(node_file(POWER + PARTS), clock)
    online: list[list[str]] = []

    def look(level: bool) -> None:
        online.append([device.id for device in runtime.devices.values() if device.online])

    with runtime:
        clock.advance(3)
        bench.backend.line("GPIO13").watch(look)
        bus.stick("sda", until="power")
        clock.advance(10)
        assert online == [[], []]


def test_both_ways(node_file: NodeFile, clock: SimClock) -> None:
    """With both ways clocks come first, and power is cut only if they do not help."""
    both = CLOCKS + POWER.partition("\n")[2] + PARTS
    runtime, _, bus = simulated(node_file(both), clock)
    with runtime:
        clock.advance(3)
        cycles = runtime.devices["i2c1"].readings["power_cycles"]
        bus.stick("sda", until="clocks")
        clock.advance(10)
        assert (bus.stuck, cycles.value) == (None, 0)
        bus.stick("sda", until="power")
        clock.advance(10)
        assert (bus.stuck, cycles.value) == (None, 1)


def test_power_that_does_not_help(node_file: NodeFile, clock: SimClock) -> None:
    """A bus that stays stuck has its power cut with each attempt, which come later and later."""
    runtime, _, bus = simulated(node_file(POWER + PARTS), clock)
    with runtime:
        clock.advance(3)
        bus.stick("sda")
        clock.advance(600)
        cycles = runtime.devices["i2c1"].readings["power_cycles"].sample.value
        assert isinstance(cycles, int)
        assert 4 < cycles < 25
        bus.release()
        clock.advance(90)
        assert runtime.devices["meter"].online


def test_power_line_at_start_and_end(node_file: NodeFile, clock: SimClock) -> None:
    """Chips that had no power have time to start before they are asked; one that has it is not
    kept waiting; and the end of the node leaves it on."""
    path = node_file(POWER + PARTS)
    with simulated(path, clock)[0]:
        assert clock.monotonic() >= 0.2
    backend = SimBackend(clock)
    backend.digital_output(make_plan(path).board.line("GPIO13")).open(True)
    backend.close()
    plan = make_plan(path)
    before = clock.monotonic()
    runtime, bench = assemble_simulated(plan, clock, Runtime, backend)
    with runtime:
        assert clock.monotonic() - before < 0.2
    assert bench.backend.line("GPIO13").levels[-1]


def test_seen_by_a_recorder(node_file: NodeFile, clock: SimClock) -> None:
    """Behind a backend that records, the bus is freed all the same, and the switching is seen."""
    told: list[Transaction | LineEdge] = []
    backend = SimBackend(clock)
    plan = make_plan(node_file(CLOCKS + POWER.partition("\n")[2] + PARTS))
    runtime = assemble(plan, RecordingBackend(backend, clock, told.append), clock, Runtime)
    plug_chips(plan, backend, clock)
    bus = backend.bus("i2c1")
    with runtime:
        clock.advance(3)
        bus.stick("sda", until="clocks")
        clock.advance(5)
        bus.stick("sda", until="power")
        clock.advance(10)
    assert bus.stuck is None
    calls = [(t.name, t.op) for t in told if isinstance(t, Transaction) and t.kind == "output"]
    assert ("GPIO5", "open") in calls
    assert ("GPIO13", "write") in calls
    backend.close()


def test_each_change_is_told(node_file: NodeFile, clock: SimClock) -> None:
    """Each device of the bus is told offline once and online once around a power cycle."""
    runtime, _, bus = simulated(node_file(POWER + PARTS), clock)
    said: list[str] = []
    kinds = (message.DeviceOffline, message.DeviceOnline)

    def note(event: Any) -> None:
        if isinstance(event.payload, kinds):
            said.append(f"{type(event.payload).__name__} {event.payload.device}")

    with runtime:
        clock.advance(3)
        runtime.subscribe(Message, note)
        bus.stick("sda", until="power")
        clock.advance(10)
    ids = ("i2c1", "meter", "dimmer")
    for kind in ("Offline", "Online"):
        assert sorted(each for each in said if kind in each) == sorted(
            f"Device{kind} {id}" for id in ids
        )


def test_pinout(node_file: NodeFile) -> None:
    """The pinout shows which lines free which bus."""
    plan = make_plan(node_file(CLOCKS + PARTS, board="raspberrypi/4b"))
    users = {pin.name: pin.used_by for pin in headers(plan.board, plan)["J8"]}
    assert users["GPIO5"] == ("i2c1.recovery.scl",)
    assert users["GPIO6"] == ("i2c1.recovery.sda",)
