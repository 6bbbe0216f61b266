"""Node: a node file booted in simulated time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgekernel import ConfigError, Runtime
from edgekernel.core.errors import UnknownTargetError
from edgekernel.core.phase import Phase
from edgekernel.sim.faults import Fault, Nack
from edgekernel.testing import Node, Simulation, assert_reading
from edgekernel.testing.node import applications_forgotten, start_node
from tests.testing.conftest import SHED, Oven

APP = """
from edgekernel import Process, command

class Greeter(Process):
    name = "greeter"

    @command
    def greet(self, name: str = "world") -> str:
        return f"hello {name}"

def setup(runtime):
    runtime.register(Greeter())
"""

WORLD = """
class Draught:
    def __init__(self, bench):
        self.passed = 0.0

    def step(self, seconds):
        self.passed += seconds
"""


@pytest.fixture
def shed(simulation: Simulation) -> Node:
    """The node of the text, booted."""
    return start_node(simulation, SHED, Path())


def test_it_runs_with_real_drivers_on_simulated_chips(simulation: Simulation, shed: Node) -> None:
    """What the chip measures is read over the bus, what is set shows on the line."""
    shed.chip("room").temperature_c = 31.0
    assert_reading(shed.room.temperature, 31.0, abs=0.05, within=6)
    shed.fan.power.set(True)
    assert shed.is_on("fan")
    shed.press("knob", 0.5)
    simulation.run(1)
    assert shed.events.of("button.released")
    assert repr(shed) == f"<Node shed: {', '.join(shed.runtime.devices)}>"


def test_devices_are_attributes_and_items(shed: Node) -> None:
    """A device is found by both; one that is not there is an error with the nearest name."""
    assert shed.room is shed["room"] is shed.runtime.devices["room"]
    with pytest.raises(AttributeError, match="shed: no device 'romo'; did you mean 'room'"):
        _ = shed.romo
    with pytest.raises(KeyError, match="no device 'romo'"):
        _ = shed["romo"]
    assert not hasattr(shed, "_private")


def test_a_path_is_found_beside_the_test_or_in_the_current_folder(
    simulation: Simulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path is relative to either; one that is in neither is an error with both places."""
    beside, here = tmp_path / "beside", tmp_path / "here"
    for folder, name in ((beside, "first"), (here, "second")):
        folder.mkdir()
        (folder / f"{name}.toml").write_text(SHED.replace('"shed"', f'"{name}"'))
    monkeypatch.chdir(here)
    assert start_node(simulation, "first.toml", beside).name == "first"
    assert start_node(simulation, Path("second.toml"), beside).name == "second"
    with pytest.raises(FileNotFoundError, match=f"no node file 'x.toml' in {beside} or {here}"):
        start_node(simulation, "x.toml", beside)


def test_mistakes_in_a_text_are_those_of_a_file(simulation: Simulation) -> None:
    """A text that is wrong is refused with file, key and value."""
    with pytest.raises(ConfigError, match=r'node\.toml: devices\.fan\.pin: .*"GPIO99"'):
        start_node(simulation, SHED.replace("GPIO17", "GPIO99"), Path())
    with pytest.raises(ConfigError, match=r"node\.toml: is not TOML: .*line"):
        start_node(simulation, SHED.replace("[node]", "[node"), Path())


def test_the_application_is_found_beside_the_test_and_forgotten(
    simulation: Simulation, tmp_path: Path
) -> None:
    """Its commands answer; after the test neither its modules nor its folder are known."""
    (tmp_path / "greeting.py").write_text(APP)
    (tmp_path / "weather.py").write_text(WORLD)
    text = SHED.replace("[node]", '[node]\napp = "greeting"')
    path = list(sys.path)
    with applications_forgotten():
        node = start_node(simulation, text + '[sim]\nworld = "weather:Draught"\n', tmp_path)
        assert node.invoke("greeter.greet") == "hello world"
        assert node.invoke("greeter.greet", name="you") == "hello you"
        simulation.run(10)
        assert simulation.world is node.world
        assert node.world.passed == pytest.approx(10, abs=1)
        assert "greeting" in sys.modules
    assert not {"greeting", "weather"} & set(sys.modules)
    assert sys.path == path


def test_setup_registers_more(simulation: Simulation) -> None:
    """Parts that a test has for itself are registered before the boot."""

    def setup(runtime: Runtime) -> None:
        assert runtime.phase is Phase.CREATED
        runtime.attach_device(Oven("oven"))

    node = start_node(simulation, SHED, Path(), setup)
    assert node.oven.attached
    assert "oven" in [each.device for each in node.events.of("device.attached")]
    assert node.world is None


def test_it_is_shut_down_with_the_simulation() -> None:
    """At the end its outputs are safe and nothing of it is open."""
    simulation = Simulation()
    node = start_node(simulation, SHED, Path())
    node.fan.power.set(True)
    line = simulation.board.line("GPIO17")
    assert line.level
    assert simulation.close() == []
    assert not line.level
    assert node.runtime.phase is Phase.STOPPED


def test_a_command_is_refused_as_anywhere(shed: Node) -> None:
    """What the runtime refuses is raised in the test."""
    with pytest.raises(UnknownTargetError):
        shed.invoke("greeter.greet")


WORLDS = """
[sim]
worlds.weather = { kind = "climate", sensor = "room.temperature_c", mean_c = 3 }
worlds.hall = { kind = "thermal_room", outside = "weather" }
"""


def test_several_worlds_are_asked_by_name(simulation: Simulation) -> None:
    """Of several worlds none is meant by itself, and each is found by its name."""
    node = start_node(simulation, SHED + WORLDS, Path())
    assert list(node.worlds) == ["weather", "hall"]
    assert_reading(node.room.temperature, 3, abs=0.1, within=6)
    for asked in (node, simulation):
        with pytest.raises(UnknownTargetError, match=r"shed has several worlds \(weather, hall\)"):
            _ = asked.world


PLAN = """
[[fault]]
at = "10s"
device = "room"
kind = "nack"
for = "20s"
"""


def test_a_fault_plan_is_played(simulation: Simulation, tmp_path: Path) -> None:
    """The same plan is played from a file beside the test, from its text and from Fault objects."""
    (tmp_path / "plan.toml").write_text(PLAN)
    plans = "plan.toml", PLAN, [Fault(Nack(), device="room", at_s=10, for_s=20)]
    nodes = [start_node(simulation, SHED, tmp_path, faults=plan) for plan in plans]
    simulation.run(120)
    for node in nodes:
        began, ended = (node.events.assert_emitted(f"fault.{what}") for what in ("began", "ended"))
        assert ended.monotonic - began.monotonic == pytest.approx(20)
        assert began.seq < node.events.assert_emitted("device.offline", device="room").seq
        assert node.room.online


def test_a_wrong_fault_plan_is_refused(simulation: Simulation, tmp_path: Path) -> None:
    """A mistake in a plan is told with fault and key; a plan that is not there with the places."""
    with pytest.raises(ConfigError, match=r"fault plan: fault\.1\.kind: no kind of fault 'nak'"):
        start_node(simulation, SHED, tmp_path, faults=PLAN.replace("nack", "nak"))
    with pytest.raises(ConfigError, match=r"fault plan: is not TOML: .*line"):
        start_node(simulation, SHED, tmp_path, faults=PLAN.replace("[[fault]]", "[[fault"))
    with pytest.raises(ConfigError, match=r"fault\.1\.device: no device 'rom' in this node"):
        start_node(simulation, SHED, tmp_path, faults=PLAN.replace("room", "rom"))
    with pytest.raises(FileNotFoundError, match=f"no fault plan 'x.toml' in {tmp_path}"):
        start_node(simulation, SHED, tmp_path, faults="x.toml")


def test_an_agent_that_is_killed_comes_back() -> None:
    """After a kill the names of the node mean the new agent; its events are all together, and
    nothing of the first agent is left behind."""
    simulation = Simulation()
    node = start_node(simulation, SHED, Path(), lambda runtime: runtime.register(Oven("oven")))
    node.fan.power.set(True)
    node.kill()
    assert not node.alive
    assert node.is_on("fan")
    first = node.fan
    node.start_again()
    simulation.run(1)
    assert node.alive
    assert node.fan is not first
    assert not node.is_on("fan")
    assert len(node.events.of("runtime.booted")) == len(simulation.events.of("runtime.booted")) == 2
    assert node.oven.attached
    node.cut_power()
    simulation.run(1)
    assert simulation.close() == []


def test_a_simulation_that_ends_without_its_agent() -> None:
    """A node that is dead at the end of the test is no failure, and leaves nothing."""
    simulation = Simulation()
    node = start_node(simulation, SHED, Path())
    node.cut_power()
    simulation.run(100)
    assert simulation.close() == []
