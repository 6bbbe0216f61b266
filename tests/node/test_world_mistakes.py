"""Mistakes in the worlds of a node file: each is told with file, key, what is wrong and allowed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekernel import Runtime
from edgekernel.core.errors import ConfigError
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock

Why = Callable[[str], list[str]]

NODE = """
[node]
name = "bench"
board = "sim"

[devices.heater]
driver = "relay"
pin = "GPIO17"

[devices.room]
driver = "bme280"
bus = "i2c1"

[devices.door]
driver = "contact"
pin = "GPIO5"

[devices.drive]
driver = "motor"
forward = "GPIO18"
backward = "GPIO19"
software = true

[sim.worlds]
"""

OWN = """
from __future__ import annotations

from typing import TYPE_CHECKING

from edgekernel.sim import Actuator, Sensor, Switch
from edgekernel.sim.worlds import Climate

if TYPE_CHECKING:
    from decimal import Decimal

class Plain:
    def step(self, seconds):
        pass

class Still(Plain):
    step_s = 0

class Unnamed(Plain):
    def __init__(self, heater, share: float = 1.0):
        pass

class Anything(Plain):
    def __init__(self, **settings: float):
        pass

class Unknown(Plain):
    def __init__(self, share: Decimal):
        pass

class Broken(Plain):
    def __init__(self):
        raise KeyError("no moon")

class Several(Plain):
    def __init__(self, loads: list[Actuator], sensors: tuple[Sensor, ...] = ()):
        assert isinstance(loads, list) and isinstance(sensors, tuple)
        self.names = [each.name for each in (*loads, *sensors)]

class City(Plain):
    def __init__(self, climates: list[Climate] | None = None):
        assert climates is None or len(climates) == 2
        assert climates is None or all(isinstance(each, Climate) for each in climates)

class Named(Plain):
    def __init__(self, sensors: dict[str, Sensor]):
        pass

class Hands(Plain):
    def __init__(self, sensor: Sensor, door: Switch):
        pass
"""


@pytest.fixture
def why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Why:
    """Give a function that returns the problems of a node with such worlds."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "worlds_for_mistakes.py").write_text(OWN)
    monkeypatch.delitem(sys.modules, "worlds_for_mistakes", raising=False)

    def why(worlds: str) -> list[str]:
        path = tmp_path / "node.toml"
        path.write_text(NODE + worlds.replace("own:", "worlds_for_mistakes:"))
        with SimClock() as clock:
            try:
                assemble_simulated(make_plan(path), clock, Runtime)
            except ConfigError as error:
                return list(error.problems)
        return []

    return why


@pytest.mark.parametrize(
    ("world", "told"),
    [
        (
            'kind = "thermal_rom"',
            'kind: "thermal_rom" is no kind of world; did you mean \'thermal_',
        ),
        (
            'kind = "thermal_room", heater = "heatr"',
            "heater: no device 'heatr'; did you mean 'heat",
        ),
        ('kind = "thermal_room", heater = "room"', "heater: room has no output line"),
        ('kind = "thermal_room", heater_w = -5', "heater_w: -5 is not allowed; at least 0"),
        ('kind = "thermal_room", heater_w = "1kW"', 'heater_w: "1kW" is not allowed; a number'),
        ('kind = "thermal_room", sensr = "room"', "sensr: unknown key; did you mean 'sensor'?"),
        (
            'kind = "thermal_room", sensor = "room.temperature"',
            "sensor: the chip of room has no quantity 'temperature'; did you mean 'temperature_c'",
        ),
        ('kind = "thermal_room", sensor = "heater"', "sensor: heater has no simulated chip"),
        (
            'kind = "thermal_room", sensor = { at = "room.temperature_c", gian = 2 }',
            "sensor.gian: unknown key; did you mean 'gain'?",
        ),
        ('kind = "thermal_room", outside = "b"', 'outside: "b" is no world; a Climate is needed'),
        ('kind = "battery", loads = ["heater", "nix"]', "loads: no device 'nix'; there are: "),
        ('kind = "door", drive = "drive", opened = "room"', "opened: room has no input line"),
        ('kind = "motor"', "drive: is missing; this key is required"),
        ('kind = "own:Absent"', 'kind: "worlds_for_mistakes:Absent" is no class with a method'),
        ('kind = "own:Unnamed", heater = "heater"', "kind: Unnamed.__init__: heater has no annota"),
        ('kind = "own:Anything", share = 1', "kind: Anything.__init__: *settings cannot be filled"),
        (
            'kind = "own:Unknown", share = 1',
            "kind: Unknown.__init__: in its annotations name",
        ),
    ],
)
def test_told_with_the_key(why: Why, world: str, told: str) -> None:
    """A mistake of one world is one problem, which begins with its key."""
    (problem,) = why(f"a = {{ {world} }}")
    assert problem.startswith(f"node.toml: sim.worlds.a.{told}"), problem


def test_cannot_be_made(why: Why) -> None:
    """What the class itself refuses, or raises, is told with the world."""
    assert why('a = { kind = "own:Broken" }') == [
        "node.toml: sim.worlds.a: cannot be made: KeyError: 'no moon'"
    ]
    assert why('a = { kind = "door" }') == [
        "node.toml: sim.worlds.a: a door is driven by `drive`, or by `open` and `close`"
    ]
    assert why('a = { kind = "own:Still" }') == [
        "node.toml: sim: the world a: step_s is 0; a number of seconds above 0 is allowed"
    ]


def test_all_at_once(why: Why) -> None:
    """Every mistake of the file is told at once."""
    assert len(why('a = { kind = "thermal_rom" }\nb = { kind = "motor" }')) == 2


def test_plain_class(why: Why) -> None:
    """A class without a constructor takes nothing, and is a world all the same."""
    assert why('a = { kind = "own:Plain" }') == []
    (problem,) = why('a = { kind = "own:Plain", share = 1 }')
    assert problem.startswith("node.toml: sim.worlds.a.share: unknown key")


def test_several_places(why: Why) -> None:
    """A list or a tuple takes several places, each moved by one key; other containers are none."""
    several = (
        'a = { kind = "own:Several", loads = ["heater"], sensors = ["room.temperature_c", %s] }'
    )
    assert why(several % '"room.pressure_hpa"') == []
    assert why(several % '"room.temperature_c"') == [
        "node.toml: sim.worlds.a.sensors: room.temperature_c is moved by sim.worlds.a.sensors.1 "
        "already; take one out"
    ]
    climates = 'b = { kind = "climate" }\nc = { kind = "climate" }'
    assert why(f'a = {{ kind = "own:City", climates = ["b", "c"] }}\n{climates}') == []
    assert why('a = { kind = "own:City" }') == []
    (problem,) = why(f'a = {{ kind = "own:City", climates = ["b", "d"] }}\n{climates}')
    assert problem.startswith('node.toml: sim.worlds.a.climates: "d" is no world; a Climate is')
    (problem,) = why('a = { kind = "own:Named", sensors = { x = "room.temperature_c" } }')
    assert "sim.worlds.a.kind: Named.__init__: sensors is a dict of places; a list or" in problem


def test_two_of_one_place(why: Why) -> None:
    """A quantity or a contact that two worlds move is refused, with both keys: the last one would
    undo what the other has done."""
    own = 'a = { kind = "own:Hands", sensor = "room.temperature_c", door = "door" }\n'
    other = 'b = { kind = "own:Hands", sensor = "room.pressure_hpa", door = "door.pin" }'
    assert why(own + other) == [
        "node.toml: sim.worlds.b.door: GPIO5 is moved by sim.worlds.a.door already; take one out"
    ]
    climate = 'b = { kind = "climate", sensor = "room.temperature_c" }'
    assert why(own + climate) == [
        "node.toml: sim.worlds.b.sensor: room.temperature_c is moved by sim.worlds.a.sensor "
        "already; take one out"
    ]
    both = 'a = { kind = "door", drive = "drive", opened = "door", closed = "door" }'
    (problem,) = why(both)
    assert problem.startswith("node.toml: sim.worlds.a.closed: GPIO5 is moved by sim.worlds.a.open")


def test_outputs_are_for_all(why: Why) -> None:
    """What an output does may be felt by several worlds."""
    room = 'a = { kind = "thermal_room", heater = "heater" }\n'
    assert why(room + 'b = { kind = "battery", loads = ["heater"] }') == []
