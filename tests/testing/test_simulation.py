"""Simulation: time, boards and nodes of one test, and what is left of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Device, Runtime
from edgekernel.core.errors import InvalidValueError, UnknownTargetError
from edgekernel.hal import DigitalOutput
from edgekernel.hal.address import LineAddress
from edgekernel.testing import Simulation, assert_reading
from edgekernel.testing.node import start_node
from tests.testing.conftest import SHED

LED = LineAddress("GPIO4", "gpiochip0", 4)


class Careless(Device):
    """A driver that never lets go of its line."""

    def __init__(self, id: str, pin: DigitalOutput) -> None:
        super().__init__(id)
        self._pin = pin

    def connect(self) -> None:
        """Take the line."""
        self._pin.open(True)


def test_run_until_says_how_long_it_took(simulation: Simulation) -> None:
    """A condition, a wall time or a time since the start is waited for; the seconds come back."""
    simulation.run(1)
    assert simulation.run_until(lambda: simulation.clock.monotonic() >= 1) == 0
    assert simulation.run_until(3.5) == 2.5
    assert simulation.run_until(datetime(2026, 1, 1, 0, 1, tzinfo=UTC)) == 56.5


def test_run_until_fails_with_the_condition_and_the_time(simulation: Simulation) -> None:
    """What does not come is named by its source, with how long was waited."""
    with pytest.raises(
        AssertionError,
        match=re.escape(
            "simulation.run_until(lambda: bool(simulation.nodes), within=3): did not come within "
            "3 s (now 3 s)"
        ),
    ):
        simulation.run_until(lambda: bool(simulation.nodes), within=3)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_time_that_cannot_pass(simulation: Simulation, seconds: float) -> None:
    """Time does not go back, and does not pass for ever: who asks for that has made a slip."""
    with pytest.raises(InvalidValueError, match=f"seconds: {seconds} cannot pass; 0 or more can"):
        simulation.run(seconds)
    assert simulation.clock.monotonic() == 0


def test_a_quantity_that_a_chip_does_not_have(simulation: Simulation) -> None:
    """A slip in the name of a quantity is refused with the nearest name, wherever it is set."""
    node = start_node(simulation, SHED, Path())
    words = "the chip of room has no quantity 'temperatur_c'; did you mean 'temperature_c'"
    for chip in (simulation.chip("room"), node.chip("room"), node.bench.chip("room")):
        with pytest.raises(UnknownTargetError, match=words):
            chip.temperatur_c = 3
        chip.temperature_c = 31.0
        assert type(chip).__name__ == "BME280Chip"
    assert_reading(node.room.temperature, 31.0, abs=0.05, within=6)


def test_lines_are_driven_by_name(simulation: Simulation) -> None:
    """The board of the simulation is the one that the first node runs on; its knob pulls low."""
    node = start_node(simulation, SHED, Path())
    simulation.board.line("GPIO23").drive(False)
    simulation.run(1)
    assert node.events.of("button.pressed", device="knob")
    node.fan.power.set(True)
    assert simulation.board.line("GPIO17").level


def test_chip_and_press_find_their_node(simulation: Simulation) -> None:
    """With one node they need no name of it; with two that have the device they ask for it."""
    with pytest.raises(UnknownTargetError, match=r"no node has a device 'room'.*there is no node"):
        simulation.chip("room")
    first = start_node(simulation, SHED, Path())
    assert simulation.chip("room") is first.chip("room")
    simulation.press("knob")
    simulation.events.assert_emitted("button.pressed", within=1)
    simulation.events.assert_emitted("button.released", within=1)
    with pytest.raises(UnknownTargetError, match="no node has a device 'rom'; did you mean 'room'"):
        simulation.chip("rom")
    with pytest.raises(UnknownTargetError, match=r"no node has a world \(shed\)"):
        _ = simulation.world
    second = start_node(simulation, SHED.replace('"shed"', '"barn"'), Path())
    with pytest.raises(UnknownTargetError, match=r"'room' \(shed, barn\): ask the node instead"):
        simulation.chip("room")
    assert second.chip("room") is not first.chip("room")
    assert second.board is not first.board is simulation.board


def test_nodes_share_time_and_keep_their_events_apart(simulation: Simulation) -> None:
    """Two nodes run on one clock; each has its own events, the simulation those of both."""
    shed = start_node(simulation, SHED, Path())
    barn = start_node(simulation, SHED.replace('"shed"', '"barn"'), Path())
    simulation.events.clear()
    shed.press("knob")
    simulation.run(1)
    assert shed.events.of("button.pressed")
    assert not barn.events.of("button.pressed")
    assert len(simulation.events.of("button.pressed")) == 1


def test_a_line_left_open_is_told_with_its_opener() -> None:
    """Closing says which lines are still open and who opened them; a closed one is none."""
    simulation = Simulation()
    pins: list[Any] = [simulation.board.digital_output(LED) for _ in range(2)]
    pins[0].open(True)
    pins[0].close()
    pins[0].close()
    runtime = Runtime(clock=simulation.clock)
    runtime.attach_device(Careless("lamp", pins[1]))
    simulation.boot(runtime)
    (left,) = simulation.close()
    assert re.fullmatch(r"open line GPIO4, opened at .*test_simulation\.py:\d+ in connect", left)


def test_a_bus_left_open_by_one_of_two_is_told() -> None:
    """A bus counts as open until each of those who opened it has closed it."""
    from edgekernel.hal.address import BusAddress

    simulation = Simulation()
    bus = simulation.board.i2c_bus(BusAddress("i2c1", "/dev/i2c-1"))
    bus.open()
    bus.open()
    bus.close()
    assert simulation.board.i2c_bus(BusAddress("i2c1", "/dev/i2c-1")) is bus
    (left,) = simulation.close()
    assert left.startswith("open bus i2c1, opened at ")
    assert left.count(" or ") == 1


def test_a_port_and_a_fiber_left_are_told() -> None:
    """Closing names an open port, and a fiber with what it waits for and where."""
    from edgekernel.hal.address import PortAddress

    simulation = Simulation()
    simulation.board.serial_port(PortAddress("uart0", "/dev/ttyAMA0")).open(9600, 1.0)
    simulation.clock.Thread(lambda: simulation.clock.sleep(1e9), "sleeper").start()
    port, fiber = simulation.close()
    assert port.startswith("open port uart0, opened at ")
    assert re.match(r"fiber sleeper: sleep, at .*test_simulation\.py:\d+ in <lambda>", fiber)


def test_the_seed_is_that_of_the_clock() -> None:
    """A simulation runs in the order that its seed chooses."""

    def order(seed: int | None) -> str:
        simulation, ran = Simulation(seed), []

        def run(name: str) -> None:
            for _ in range(4):
                simulation.clock.sleep(1)
                ran.append(name)

        for name in "abc":
            simulation.clock.Thread(partial(run, name), name).start()
        simulation.run(5)
        assert simulation.seed == seed
        assert simulation.close() == []
        return "".join(ran)

    assert order(None) == "abc" * 4
    assert order(7) == order(7)
    assert len({order(seed) for seed in range(10)}) > 5
