"""Worlds from a node file: devices of every kind in them, without a line of code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Runtime
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import Bench, SimClock
from edgekernel.sim.worlds import Climate, ThermalRoom

HEAD = '[node]\nname = "bench"\nboard = "sim"\n'

PLANT = """
[devices.heater]
driver = "relay"
pin = "GPIO17"
active_high = false

[devices.room]
driver = "bme280"
bus = "i2c1"
every = "5s"

[devices.pump]
driver = "relay"
pin = "io:GPA0"

[devices.io]
driver = "mcp23017"
bus = "i2c1"

[devices.level]
driver = "ultrasonic"
trigger = "GPIO9"
echo = "GPIO10"

[devices.high]
driver = "contact"
pin = "io:GPB0"

[devices.flow]
driver = "pulse_counter"
pin = "GPIO7"
per_pulse = 0.5

[sim.worlds.weather]
kind = "climate"
mean_c = 5

[sim.worlds.room]
kind = "thermal_room"
heater = "heater"
sensor = "room.temperature_c"
humidity = "room.humidity_percent"
outside = "weather"

[sim.worlds.cellar]
kind = "thermal_room"
outside = "weather"

[sim.worlds.water]
kind = "tank"
pump = "pump"
distance = "level.distance_m"
high = "high"
meter = "flow"
inflow_m3_per_s = 0.002
pulses_per_m3 = 2000
"""

DRIVE = """
[devices.drive]
driver = "motor"
forward = "GPIO18"
backward = "GPIO19"
software = true

[devices.shaft]
driver = "rotary_encoder"
a = "GPIO5"
b = "GPIO6"
pull = "none"
counts_per_step = 1

[devices.gate]
driver = "modbus_rtu"
port = "uart0"
unit_id = 1
every = "500ms"
readings.place = { address = 2, type = "uint16", scale = 0.001 }
outputs.move = { address = 1, type = "uint16", safe = 0 }

[devices.open]
driver = "contact"
pin = "GPIO20"

[devices.power]
driver = "ina219"
bus = "i2c1"

[devices.dimmer]
driver = "pca9685"
bus = "i2c1"
address = 0x41

[devices.scale]
driver = "line_sensor"
port = "/dev/ttyUSB0"
pattern = "m=(?P<mass>[0-9.]+)"
readings.mass = {}

[sim.worlds.motor]
kind = "motor"
drive = "drive"
a = "shaft.a"
b = "shaft.b"

[sim.worlds.gate]
kind = "door"
drive = { at = "gate.holding.1", gain = 0.001 }
opened = "open"
position = { at = "gate.holding.2", gain = 1000 }
travel_s = 4

[sim.worlds.battery]
kind = "battery"
loads = ["drive", "dimmer.share.3"]
voltage = "power.voltage_v"
current = "power.current_a"
charge = { at = "scale.line", text = "m={:.3f}" }
"""


@contextmanager
def running(folder: Path, text: str) -> Iterator[tuple[SimClock, Any, Bench]]:
    """Run a node in simulated time; yield clock, devices and bench."""
    path = folder / "node.toml"
    path.write_text(HEAD + text)
    with SimClock() as clock:
        runtime, bench = assemble_simulated(make_plan(path), clock, Runtime)
        with runtime:
            yield clock, runtime.devices, bench
            assert runtime.error_count == 0, list(runtime.errors)


def test_heat_and_water(tmp_path: Path) -> None:
    """A relay heats a room that a BME280 measures, worlds share a climate, and a pump behind an
    expander fills a tank that an ultrasonic sensor, a float and a flow meter watch."""
    with running(tmp_path, PLANT) as (clock, devices, bench):
        room, water = bench.worlds["room"], bench.worlds["water"]
        assert list(bench.worlds) == ["weather", "water", "room", "cellar"]
        clock.advance(600)
        assert devices["room"].temperature.value == pytest.approx(room.temperature_c, abs=0.05)
        assert room.temperature_c == pytest.approx(bench.worlds["cellar"].temperature_c)
        devices["heater"].power.set(True)
        devices["pump"].power.set(True)
        clock.advance(300)
        assert room.temperature_c > bench.worlds["cellar"].temperature_c + 4
        assert devices["room"].temperature.value == pytest.approx(room.temperature_c, abs=0.2)
        assert devices["level"].distance.value == pytest.approx(2 - water.level_m, abs=0.01)
        assert devices["flow"].rate.value == pytest.approx(0.002 * 2000 * 0.5, rel=0.05)
        assert devices["flow"].count.value == pytest.approx(300 * 4, abs=6)
        assert devices["high"].open.value is True
        clock.advance(300)
        assert water.level_m >= 1.7
        assert devices["high"].open.value is False


def test_motion_and_power(tmp_path: Path) -> None:
    """A motor on PWM turns an encoder count for count both ways, registers of a Modbus unit drive
    a door and say where it is, and a battery feels them, a channel of a PWM chip too."""
    with running(tmp_path, DRIVE) as (clock, devices, bench):
        clock.advance(1)
        motor = bench.worlds["motor"]
        for speed in (0.6, -0.9, 0.2, 0.0):
            devices["drive"].speed.set(speed)
            clock.advance(3)
        clock.advance(30)
        devices["shaft"].poll()
        assert abs(motor.turns) > 1
        assert devices["shaft"].position.value == pytest.approx(48 * motor.turns, abs=1)
        assert devices["shaft"].lost.value == 0
        devices["gate"].outputs["move"].set(500)
        clock.advance(4.2)
        assert devices["gate"].readings["place"].value == pytest.approx(0.5, abs=0.1)
        assert devices["open"].open.value is True
        clock.advance(6)
        assert devices["open"].open.value is False
        assert devices["power"].readings["current"].value == pytest.approx(0.1, abs=0.01)
        devices["dimmer"].outputs["channel3"].set(0.5)
        clock.advance(3)
        assert devices["power"].readings["current"].value == pytest.approx(0.6, abs=0.01)
        charge = bench.worlds["battery"].charge
        assert devices["scale"].readings["mass"].value == pytest.approx(charge, abs=0.001)


OWN = """
from edgekernel.sim import Actuator, Bench, Sensor
from edgekernel.sim.worlds import Climate

class Greenhouse:
    step_s = 5.0

    def __init__(self, bench: Bench, *, heater: Actuator, sensor: Sensor, climate: Climate,
                 area_m2: float = 2.0) -> None:
        self.bench, self.heater, self.sensor, self.climate = bench, heater, sensor, climate
        self.area_m2 = area_m2
        self.stepped_s = 0.0

    def step(self, seconds: float) -> None:
        self.stepped_s += seconds
        self.sensor.show(self.climate.temperature_c + 10 * self.heater.share * self.area_m2)
"""


def test_own_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class of one's own takes the bench, places, worlds and settings as the built-in ones do,
    and is stepped at its own pace."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_world_for_test.py").write_text(OWN)
    own = """
[sim.worlds.house]
kind = "own_world_for_test:Greenhouse"
heater = "heater"
sensor = "room.pressure_hpa"
climate = "weather"
area_m2 = 1.5
"""
    with running(tmp_path, PLANT + own) as (clock, devices, bench):
        house = bench.worlds["house"]
        assert (house.bench is bench, house.area_m2) == (True, 1.5)
        devices["heater"].power.set(True)
        clock.advance(60)
        assert house.stepped_s == pytest.approx(60, abs=5)
        assert house.sensor.name == "room.pressure_hpa"


def test_worlds_in_python(tmp_path: Path) -> None:
    """The same worlds are made in Python, of places that the bench gives."""
    path = tmp_path / "node.toml"
    path.write_text(HEAD + PLANT.partition("[sim")[0])
    with SimClock() as clock, ExitStack() as stack:
        runtime, bench = assemble_simulated(make_plan(path), clock, Runtime)
        stack.enter_context(runtime)  # before it starts nobody drives the heater's line
        room = ThermalRoom(
            heater=bench.actuator("heater"),
            sensor=bench.sensor("room.temperature_c"),
            outside=Climate(bench, mean_c=-3),
            start_c=-3,
        )
        room.step(3600)
        assert bench.chip("room").temperature_c == pytest.approx(-3)
