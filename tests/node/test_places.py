"""Every driver has a place in a world: by its chip, by its lines, or by its far end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekernel import Runtime
from edgekernel.node import driver_names, make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import Actuator, Sensor, SimClock, Switch

I2C, LINE = 'bus = "i2c1"\n', 'pin = "GPIO5"\n'

PLACES = {
    "ads1115": (I2C, "sensor", "x.a0_v"),
    "aht20": (I2C, "sensor", "x.temperature_c"),
    "bh1750": (I2C, "sensor", "x.illuminance_lx"),
    "bme280": (I2C, "sensor", "x.pressure_hpa"),
    "bmp280": (I2C, "sensor", "x.pressure_hpa"),
    "button": (LINE, "switch", "x"),
    "contact": (LINE, "switch", "x.pin"),
    "ds18b20": ('bus = "w1"\n', "sensor", "x.temperature_c"),
    "ds3231": (I2C, "sensor", "x.temperature_c"),
    "gps": ('port = "uart0"\n', "sensor", "x.latitude"),
    "ina219": (I2C, "sensor", "x.current_a"),
    "led": (LINE, "actuator", "x"),
    "line_sensor": (
        'port = "uart0"\npattern = "(?P<mass>[0-9.]+)"\nreadings.mass = {}\n', "sensor", "x.line",
    ),
    "lm75": (I2C, "sensor", "x.temperature_c"),
    "mcp3008": (
        'select = "spi0.0"\nreadings.level = { channel = 0 }\n', "sensor", "x.channel0",
    ),
    "mcp9808": (I2C, "sensor", "x.temperature_c"),
    "modbus_rtu": (
        'port = "uart0"\nunit_id = 1\nreadings.x = { address = 30 }\n', "sensor", "x.input.30",
    ),
    "motor": ('forward = "GPIO5"\nbackward = "GPIO6"\nsoftware = true\n', "actuator", "x"),
    "pca9685": (I2C, "actuator", "x.share.15"),
    "pir": (LINE, "switch", "x"),
    "pms5003": ('port = "uart0"\n', "sensor", "x.pm2_5"),
    "pulse_counter": (LINE, "switch", "x"),
    "pwm_output": (LINE + "software = true\n", "actuator", "x"),
    "relay": (LINE, "actuator", "x.pin"),
    "rotary_encoder": ('a = "GPIO5"\nb = "GPIO6"\n', "switch", "x.b"),
    "servo": (LINE + "software = true\n", "actuator", "x"),
    "sht4x": (I2C, "sensor", "x.humidity_percent"),
    "ultrasonic": ('trigger = "GPIO5"\necho = "GPIO6"\n', "sensor", "x.distance_m"),
    "veml7700": (I2C, "sensor", "x.illuminance_lx"),
}  # fmt: skip

ELSEWHERE = {
    "circuitpython": "its chip is simulated by whoever wrote the library, if at all",
    "luma_oled": "a display shows, and does nothing to its surroundings",
    "mcp23017": "its lines are those of the devices on it",
    "pcf8574": "its lines are those of the devices on it",
}

KINDS = {"actuator": Actuator, "sensor": Sensor, "switch": Switch}


def test_every_driver() -> None:
    """No driver is left out without a reason."""
    assert set(driver_names()) == set(PLACES) | set(ELSEWHERE)


@pytest.mark.parametrize("driver", sorted(PLACES))
def test_place(driver: str, tmp_path: Path) -> None:
    """The bench finds the place of a device with this driver."""
    settings, kind, name = PLACES[driver]
    path = tmp_path / "node.toml"
    head = '[node]\nname = "bench"\nboard = "sim"\n'
    path.write_text(f'{head}[devices.x]\ndriver = "{driver}"\n{settings}')
    with SimClock() as clock:
        _, bench = assemble_simulated(make_plan(path), clock, Runtime)
        place: Any = getattr(bench, kind)(name)
        assert place.name == name
        assert type(place) is KINDS[kind]
        bench.backend.close()
