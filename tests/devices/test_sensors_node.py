"""A node file with every I²C sensor: checked, run, and measured for minutes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekernel import Device, Event, Message, Quality, Runtime, message
from edgekernel.cli import main
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock
from edgekernel.sim.bench import Bench
from tests.cli.conftest import LIMIT_S, command

NODE = """
[node]
name = "weather-1"
board = "sim"

[devices.attic]
driver = "bmp280"
bus = "i2c1"
oversampling = 16

[devices.cellar]
driver = "bme280"
bus = "i2c1"
address = 0x77

[devices.room]
driver = "sht4x"
bus = "i2c1"
repeatability = "medium"
every = "500ms"

[devices.bath]
driver = "aht20"
bus = "i2c1"
every = "2s"

[devices.desk]
driver = "bh1750"
bus = "i2c1"
resolution = "high2"
sensitivity = 138

[devices.sky]
driver = "veml7700"
bus = "i2c1"

[devices.stove]
driver = "mcp9808"
bus = "i2c1"
address = 0x1F
conversion_ms = 65
"""

QUANTITIES = {
    "temperature": "temperature_c",
    "humidity": "humidity_percent",
    "pressure": "pressure_hpa",
    "illuminance": "illuminance_lx",
}


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A node file with all of them on one bus."""
    path = tmp_path / "node.toml"
    path.write_text(NODE, encoding="utf-8")
    return path


def moved(bench: Bench, devices: dict[str, Device], minute: int) -> dict[str, float]:
    """Give every chip other quantities; return what the readings have to say, by label."""
    expected = {}
    for id, device in devices.items():
        for name, reading in device.readings.items():
            low, high = {"illuminance": (0.5, 10_000.0)}.get(name, reading.values.range or (0, 1))
            value = low + (high - low) * (2 + minute * 37 % 96) / 100
            bench.set_quantity(id, QUANTITIES[name], value)
            expected[reading.label] = value
    return expected


def test_measures_for_minutes(node: Path, clock: SimClock) -> None:
    """All sensors on one bus, each in its own interval, follow what their chips measure for ten
    minutes, and none is ever offline."""
    runtime, bench = assemble_simulated(make_plan(node), clock, Runtime)
    events: list[Event] = []
    runtime.subscribe(Message, events.append)
    with runtime:
        devices = {id: each for id, each in runtime.devices.items() if each.kind != "bus"}
        assert len(devices) == 7
        for minute in range(10):
            expected = moved(bench, devices, minute)
            clock.advance(60)
            for device in devices.values():
                for reading in device.readings.values():
                    assert reading.quality is Quality.GOOD
                    value = expected[reading.label]
                    assert reading.value == pytest.approx(value, rel=0.005, abs=0.15)
    bad = (message.DeviceOffline, message.DeviceFailed)
    assert not [e.payload for e in events if isinstance(e.payload, bad)]


def test_check(node: Path) -> None:
    """`edgekernel check` finds the node file right and says where each sensor is."""
    result = CliRunner().invoke(main, ["check", str(node)])
    assert result.exit_code == 0
    # rightly so: the BH1750 measures for 0.36 s of each second
    assert "i2c1 is busy for more than half of the time" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    for line in ("sky veml7700 i2c1 0x10 -", "stove mcp9808 i2c1 0x1f -", "bath aht20 i2c1 0x38 -"):
        assert line in lines


@pytest.mark.parametrize(
    ("right", "wrong", "key"),
    [
        ("sensitivity = 138", "sensitivity = 30", "devices.desk.sensitivity"),
        ("sensitivity = 138", "sensitivity = 255", "devices.desk.sensitivity"),
        ('resolution = "high2"', 'resolution = "fine"', "devices.desk.resolution"),
        ('"medium"', '"highest"', "devices.room.repeatability"),
        ("address = 0x1F", "address = 0x20", "devices.stove.address"),
        ("conversion_ms = 65", "conversion_ms = 66", "devices.stove.conversion_ms"),
        ("oversampling = 16", "oversampling = 3", "devices.attic.oversampling"),
        ("address = 0x77", "address = 0x76", "devices.cellar.address"),
    ],
)
def test_mistakes(node: Path, right: str, wrong: str, key: str) -> None:
    """A setting that a driver does not allow, and an address that is taken, are told with file
    and key."""
    node.write_text(NODE.replace(right, wrong), encoding="utf-8")
    result = CliRunner().invoke(main, ["check", str(node)])
    assert result.exit_code == 1
    assert f"node.toml: {key}: " in result.stderr


def test_run(node: Path) -> None:
    """`edgekernel run --sim` boots all sensors, and every one is online."""
    done = subprocess.run(
        command("run", node, "--sim", "--for", "1", "--json"),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    online = {each["fields"]["device"] for each in told if each["name"] == "device.online"}
    assert online == {"i2c1", "attic", "cellar", "room", "bath", "desk", "sky", "stove"}
    assert not [each for each in told if each["name"] in ("device.offline", "device.failed")]
