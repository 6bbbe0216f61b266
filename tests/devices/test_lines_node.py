"""The drivers of serial lines, SPI and 1-Wire in one node file, from the file to the readings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgekernel import Runtime
from edgekernel.cli.main import main
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock
from edgekernel.sim.bench import Bench

NODE = """
[node]
name = "lines"
board = "sim"

[devices.cellar]
driver = "ds18b20"
bus = "w1"
rom = "28-00000521f8aa"

[devices.attic]
driver = "ds18b20"
bus = "w1"
rom = "28-0316a2795bff"

[devices.adc]
driver = "mcp3008"
select = "spi0.0"
reference = 3.3
readings = { battery = { channel = 0, ratio = 4.0 }, light = { channel = 7 } }

[devices.scale]
driver = "line_sensor"
port = "/dev/serial/by-id/usb-scale"
pattern = '(?P<mass>[0-9.]+) kg'
readings = { mass = { unit = "kg", range = [0, 100] } }

[devices.dust]
driver = "pms5003"
port = "uart0"

[devices.meter]
driver = "modbus_rtu"
port = "/dev/serial/by-id/usb-rs485"
parity = "none"
readings = { voltage = { address = 0, kind = "input", type = "float32", unit = "V" } }

[devices.meter.outputs]
fan = { address = 3, kind = "coil", safe = false }
speed = { address = 4, scale = 0.5, safe = 0, unit = "Hz" }
"""


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """The node file."""
    path = tmp_path / "node.toml"
    path.write_text(NODE, encoding="utf-8")
    return path


@pytest.fixture
def run(node: Path) -> Iterator[tuple[Runtime, Bench, SimClock]]:
    """The node, running on simulated time."""
    with SimClock() as clock:
        runtime, bench = assemble_simulated(make_plan(node), clock, Runtime)
        with runtime:
            yield runtime, bench, clock


def test_check(node: Path) -> None:
    """`edgekernel check` finds the node file right."""
    result = CliRunner().invoke(main, ["check", str(node)])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "/dev/serial/by-id/usb-scale" in result.stdout


def test_readings(run: tuple[Runtime, Bench, SimClock]) -> None:
    """Each device measures what its simulated far end says."""
    runtime, bench, clock = run
    bench.set_quantity("cellar", "temperature_c", 12.5)
    bench.set_quantity("attic", "temperature_c", 31.0)
    bench.set_quantity("adc", "channel0", 0.75)
    bench.set_quantity("dust", "pm2_5", 17)
    bench.chip("scale").line = "  12.5 kg"
    bench.chip("meter").input.update({0: 0x4366, 1: 0x8000})
    clock.advance(40)
    values = {
        f"{device.id}.{name}": reading.value
        for device in runtime.devices.values()
        for name, reading in device.readings.items()
        if not name.startswith("n")
    }
    assert values == {
        "cellar.temperature": 12.5,
        "attic.temperature": 31.0,
        "adc.battery": pytest.approx(9.9),
        "adc.light": 0.0,
        "scale.mass": 12.5,
        "dust.pm1_0": 5,
        "dust.pm2_5": 17,
        "dust.pm10": 10,
        "meter.voltage": 230.5,
    }


def test_outputs(run: tuple[Runtime, Bench, SimClock]) -> None:
    """Outputs that the node file names reach the far end, and are safe at the end."""
    runtime, bench, _ = run
    outputs: dict[str, Any] = runtime.devices["meter"].outputs
    outputs["fan"].set(True)
    outputs["speed"].set(25)
    units = bench.chip("meter")
    assert (units.coil[3], units.holding[4]) == (0xFF00, 50)
    runtime.shutdown("end of the test")
    assert (units.coil[3], units.holding[4]) == (0, 0)
