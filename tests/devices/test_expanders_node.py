"""A node file with converters, a clock, PWM and expanders, and devices on the expanders' lines."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from edgekernel_devices.button import ButtonPressed, ButtonReleased
from edgekernel_devices.led import Led
from edgekernel_devices.relay import Relay

from edgekernel import Event, Message, Runtime, message
from edgekernel.cli import main
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock
from edgekernel.sim.bench import Bench
from tests.cli.conftest import LIMIT_S, command

NODE = """
[node]
name = "cellar-1"
board = "sim"

[devices.lamp]
driver = "relay"
pin = "io:GPA3"
active_high = false

[devices.door]
driver = "button"
pin = "io:GPB0"

[devices.sign]
driver = "led"
pin = "far:P0"
active_high = false

[devices.bell]
driver = "button"
pin = "far:P7"
debounce = 0

[devices.io]
driver = "mcp23017"
bus = "i2c1"
interrupt = "GPIO4"

[devices.far]
driver = "pcf8574"
bus = "i2c1"
address = 0x3A

[devices.solar]
driver = "ina219"
bus = "i2c1"
max_current = 2
samples = 16

[devices.soil]
driver = "ads1115"
bus = "i2c1"
measure = ["a0", "a23"]
divider = { a0 = 2 }

[devices.rtc]
driver = "ds3231"
bus = "i2c1"

[devices.servos]
driver = "pca9685"
bus = "i2c1"
address = 0x41
frequency = 50
safe = { channel0 = 0.075 }
"""

Node = tuple[Runtime, Bench, list[Event]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The node file."""
    path = tmp_path / "node.toml"
    path.write_text(NODE, encoding="utf-8")
    return path


@pytest.fixture
def node(path: Path, clock: SimClock) -> Node:
    """The node on the simulated board, not booted, and what it will emit."""
    runtime, bench = assemble_simulated(make_plan(path), clock, Runtime)
    events: list[Event] = []
    runtime.subscribe(Message, events.append)
    return runtime, bench, events


def told(events: list[Event]) -> list[tuple[type[Message], str]]:
    """The presses and releases, and of which button."""
    kinds = (ButtonPressed, ButtonReleased)
    return [(type(e.payload), e.payload.device) for e in events if isinstance(e.payload, kinds)]


def test_lines_of_expanders(node: Node, clock: SimClock) -> None:
    """Relays, LEDs and buttons on the lines of expanders work as on the board's own, whichever
    comes first in the file; at the end everything is safe."""
    runtime, bench, events = node
    with runtime:
        lamp, sign = runtime.devices["lamp"], runtime.devices["sign"]
        assert isinstance(lamp, Relay)
        assert isinstance(sign, Led)
        assert (bench.level("io:GPA3"), bench.level("far:P0")) == (True, True)
        lamp.power.set(True)
        sign.light.set(True)
        assert (bench.level("io:GPA3"), bench.level("far:P0")) == (False, False)
        assert lamp.power.value is sign.light.value is True
        for device in ("door", "bell"):
            bench.drive({"door": "io:GPB0", "bell": "far:P7"}[device], False)
            clock.advance(0.2)
            bench.drive({"door": "io:GPB0", "bell": "far:P7"}[device], True)
            clock.advance(0.2)
    assert (bench.level("io:GPA3"), bench.level("far:P0")) == (True, True)
    assert told(events) == [
        (kind, device) for device in ("door", "bell") for kind in (ButtonPressed, ButtonReleased)
    ]
    bad = (message.DeviceOffline, message.DeviceFailed)
    assert not [e.payload for e in events if isinstance(e.payload, bad)]


def test_interrupt_line(node: Node, clock: SimClock) -> None:
    """The chip's interrupt output is wired to the board's line: a press is told when it has
    settled, long before the expander's regular poll."""
    runtime, bench, events = node
    with runtime:
        clock.advance(0.31)
        assert bench.level("GPIO4") is True
        bench.drive("io:GPB0", False)
        pressed_ns = clock.monotonic_ns()
        clock.advance(0.5)
        assert bench.level("GPIO4") is True
    pressed = next(e for e in events if isinstance(e.payload, ButtonPressed))
    assert pressed.monotonic == pytest.approx(pressed_ns / 1e9 + 0.02, abs=0.001)


def test_readings(node: Node, clock: SimClock) -> None:
    """Converters and clock measure what their chips are set to."""
    runtime, bench, _ = node
    with runtime:
        for device, quantity, value in (
            ("solar", "voltage_v", 12.0),
            ("solar", "current_a", -1.5),
            ("soil", "a0_v", 1.25),
            ("rtc", "temperature_c", 31.5),
        ):
            bench.set_quantity(device, quantity, value)
        clock.advance(11)
        values = {
            reading.label: reading.value
            for device in ("solar", "soil", "rtc")
            for name, reading in runtime.devices[device].readings.items()
            if name != "time"
        }
        expected = {
            "solar.voltage": 12.0,
            "solar.current": -1.5,
            "solar.power": -18.0,
            "soil.a0": 2.5,
            "soil.a23": -0.5,
            "rtc.temperature": 31.5,
        }
        assert values == pytest.approx(expected, rel=0.001)
        assert runtime.devices["rtc"].readings["time"].value == "2026-01-01T00:00:10Z"
        assert bench.chip("servos").share(0) == pytest.approx(0.075, abs=0.0002)


def test_check(path: Path) -> None:
    """`edgekernel check` finds the node file right and says where each line is."""
    result = CliRunner().invoke(main, ["check", str(path)])
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert any(line.startswith("lamp relay") and "io:GPA3" in line for line in lines)


@pytest.mark.parametrize(
    ("right", "wrong", "key"),
    [
        ('"io:GPB0"', '"io:GPA3"', "devices.door.pin"),
        ('"io:GPB0"', '"io:GPC0"', "devices.door.pin"),
        ("address = 0x3A", "address = 0x28", "devices.far.address"),
        ("max_current = 2", "max_current = 4", "devices.solar"),
        ('"a0", "a23"', '"a0", "a4"', "devices.soil.measure"),
        ("channel0 = 0.075", "channel0 = 1.075", "devices.servos.safe"),
    ],
)
def test_mistakes(path: Path, right: str, wrong: str, key: str) -> None:
    """A line that is taken or not there, and settings that a driver does not allow, are told
    with file and key."""
    path.write_text(NODE.replace(right, wrong), encoding="utf-8")
    result = CliRunner().invoke(main, ["run", str(path), "--sim", "--for", "1"])
    assert result.exit_code == 1
    assert f"node.toml: {key}" in result.stderr


def test_run(path: Path) -> None:
    """`edgekernel run --sim` boots all of them, and every one is online."""
    done = subprocess.run(
        command("run", path, "--sim", "--for", "1", "--json"),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    online = {each["fields"]["device"] for each in told if each["name"] == "device.online"}
    devices = {"lamp", "door", "sign", "bell", "io", "far", "solar", "soil", "rtc", "servos"}
    assert devices <= online
    assert not [each for each in told if each["name"] in ("device.offline", "device.failed")]
