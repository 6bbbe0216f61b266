"""From a plan to a runtime: devices with their boundaries, and the application set up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from edgekernel_devices.bme280 import BME280Chip

from edgekernel import Quality, Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import ConfigError, InvalidValueError
from edgekernel.node import assemble, make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock

NodeFile = Callable[..., Path]

DEVICES = """
[devices.fan]
driver = "relay"
pin = "GPIO17"
active_high = false

[devices.room]
driver = "bme280"
bus = "i2c1"
every = "500ms"

[devices.outside]
driver = "bme280"
bus = "i2c1"
address = 0x77
"""

APP = """
from typing import Annotated
from pydantic import Field
from edgekernel import Process, command

class Control(Process):
    name = "control"

    @command
    def boost(self, minutes: Annotated[int, Field(ge=1, le=60)]) -> int:
        return minutes

def setup(runtime):
    runtime.register(Control())
"""

WORLD = """
class Sun:
    step_s = 10.0

    def __init__(self, bench):
        self.room = bench.chip("room")

    def step(self, seconds):
        self.room.temperature_c += seconds / 10
"""


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def backend(clock: SimClock) -> Iterator[SimBackend]:
    """A simulated board, given back at the end."""
    backend = SimBackend(clock)
    yield backend
    backend.close()


def why(path: Path, clock: SimClock) -> str:
    """Return why a node file cannot be assembled."""
    with pytest.raises(ConfigError) as caught:
        assemble_simulated(make_plan(path), clock, Runtime)
    return str(caught.value)


def test_assemble(node_file: NodeFile, clock: SimClock, backend: SimBackend) -> None:
    """The runtime has the node's name and devices in order, after their buses, on the backend's
    boundaries, with their settings; nothing is opened before the boot."""
    runtime = assemble(make_plan(node_file(DEVICES)), backend, clock, Runtime)
    assert type(runtime) is Runtime
    assert (runtime.name, runtime.clock) == ("bench", clock)
    assert list(runtime.devices) == ["i2c1", "fan", "room", "outside"]
    assert runtime.devices["room"].every == 0.5
    assert runtime.devices["outside"].every == type(runtime.devices["outside"]).every
    assert {runtime.devices[id].poll_group for id in ("room", "outside")} == {"i2c1"}
    assert backend.line("GPIO17").function == "input"


def test_commands_are_validated(node_file: NodeFile, clock: SimClock) -> None:
    """Commands of an assembled runtime check their arguments against their annotations."""
    plan = make_plan(node_file("", app_name="app", app=APP))
    runtime, _ = assemble_simulated(plan, clock, Runtime)
    with runtime:
        assert runtime.invoke("control.boost", {"minutes": 5}) == 5
        with pytest.raises(InvalidValueError, match=r"control\.boost: minutes: 61 is not allowed"):
            runtime.invoke("control.boost", {"minutes": 61})


def test_simulated_node_lives(node_file: NodeFile, clock: SimClock) -> None:
    """On the simulated board the real drivers meet their chips, and the world moves these."""
    path = node_file(DEVICES + '[sim]\nworld = "world:Sun"\n', world=WORLD)
    runtime, bench = assemble_simulated(make_plan(path), clock, Runtime)
    with runtime:
        fan: Any = runtime.devices["fan"]
        room: Any = runtime.devices["room"]
        assert bench.is_on("fan") is False
        assert bench.level("GPIO17") is True  # active low
        fan.power.set(True)
        assert bench.is_on("fan") is True
        assert bench.level("GPIO17") is False
        clock.advance(100.6)
        assert room.temperature.quality is Quality.GOOD
        assert room.temperature.value == pytest.approx(30.0, abs=0.02)
    assert bench.is_on("fan") is False


def test_an_optional_device(node_file: NodeFile, clock: SimClock, backend: SimBackend) -> None:
    """P5: without an optional device the node runs degraded; it joins when it is plugged in."""
    path = node_file(DEVICES.replace("address = 0x77", "address = 0x77\noptional = true"))
    runtime = assemble(make_plan(path), backend, clock, Runtime)
    backend.bus("i2c1").plug(0x76, BME280Chip())
    with runtime:
        assert runtime.status()["degraded"] == ["outside"]
        assert "0x77" in runtime.status()["components"]["outside"]["error"]
        backend.bus("i2c1").plug(0x77, BME280Chip())
        clock.advance(120)
        assert runtime.status()["degraded"] == []
        outside: Any = runtime.devices["outside"]
        assert outside.temperature.quality is Quality.GOOD


@pytest.mark.parametrize(
    ("app", "source", "said"),
    [
        ("absent", "", 'node.app: "absent": there is no such module, neither in '),
        ("app", "import absent", "(app.py, line 1)"),
        ("app", "def setup(", "SyntaxError"),
        ("app", "", '"app" has no function setup(runtime)'),
        ("app", "setup = 5", '"app" has no function setup(runtime)'),
        ("app", "def setup(runtime): 1 / 0", 'setup of "app" failed: ZeroDivisionError: '),
        (
            "app",
            "from edgekernel import Process\ndef setup(runtime):\n"
            "    for _ in 'ab': runtime.register(type('P', (Process,), {'name': 'p'})())",
            "node.app: p: two parts of this name",
        ),
    ],
)
def test_application_that_cannot_be_set_up(
    node_file: NodeFile, clock: SimClock, app: str, source: str, said: str
) -> None:
    """Whatever is wrong with an application is a ConfigError that names file, key and module."""
    text = why(node_file("", app_name=app, app=source), clock)
    assert text.startswith("node.toml: node.app: ")
    assert said in text


@pytest.mark.parametrize(
    ("world", "said"),
    [
        ("absent:Sun", 'sim.world: "absent": there is no such module'),
        ("world", '"world" is no class with a method step(seconds); write it as "module:Class"'),
        ("world:Moon", '"world:Moon" is no class with a method step(seconds)'),
        ("world:Broken", "world:Broken cannot be made: KeyError: 'no moon'"),
    ],
)
def test_world_that_cannot_be_made(
    node_file: NodeFile, clock: SimClock, world: str, said: str
) -> None:
    """Whatever is wrong with a world is a ConfigError that names file, key and class."""
    source = WORLD + (
        "class Broken(Sun):\n    def __init__(self, bench):\n        raise KeyError('no moon')\n"
    )
    text = why(node_file(f'{DEVICES}[sim]\nworld = "{world}"\n', world=source), clock)
    assert text.startswith("node.toml: sim.world: ")
    assert said in text
