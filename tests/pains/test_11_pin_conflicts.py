"""Pain 11: two devices on one pin are noticed at the pin, or a conflict is seen where none is.

flyte/mqtt-io#191; esphome/issues#5248, #5260, #5286; odriverobotics/ODrive#339.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekernel.cli import main
from edgekernel.sim import SimClock
from tests.pains.conftest import MakeNode, write

LAMP_AND_BELL = """
[devices.lamp]
driver = "relay"
pin = "GPIO17"

[devices.bell]
driver = "button"
pin = "{pin}"
"""
EXPANDERS = """
[devices.lamp]
driver = "relay"
pin = "GPIO4"

[devices.fan]
driver = "relay"
pin = "near:GPA4"

[devices.pump]
driver = "relay"
pin = "far:P4"

[devices.vent]
driver = "relay"
pin = "other:P4"

[devices.near]
driver = "mcp23017"
bus = "i2c1"

[devices.far]
driver = "pcf8574"
bus = "i2c1"
address = 0x3A

[devices.other]
driver = "pcf8574"
bus = "i2c1"
address = 0x3B
"""
RELAYS = {"lamp": "GPIO4", "fan": "near:GPA4", "pump": "far:P4", "vent": "other:P4"}


@pytest.mark.parametrize(
    ("pin", "text"), [("GPIO17", "GPIO17"), ("J8:11", '"J8:11" (GPIO17)')], ids=["name", "header"]
)
def test_one_pin_two_devices(tmp_path: Path, pin: str, text: str) -> None:
    """A lamp and a bell share a pin, and one of them does nothing: the check refuses the file with
    file and key, also if one names the line and the other the header pin."""
    path = write(tmp_path, LAMP_AND_BELL.format(pin=pin), "raspberrypi/4b")
    result = CliRunner().invoke(main, ["check", str(path)])
    assert result.exit_code == 1
    assert result.stderr == (
        f"node.toml: devices.bell.pin: {text} is already used by devices.lamp.pin\n"
    )


def test_equal_numbers_of_two_chips(make_node: MakeNode, tmp_path: Path, clock: SimClock) -> None:
    """Pin 4 of an expander was called a conflict with pin 4 of the board: lines of two chips are
    two lines, and each relay is switched by its own."""
    node = make_node(EXPANDERS, board="raspberrypi/4b")
    result = CliRunner().invoke(main, ["check", str(tmp_path / "node.toml")])
    assert (result.exit_code, result.stderr) == (0, "")
    with node.runtime:
        clock.advance(1)
        for switched in RELAYS:
            node.output(f"{switched}.power").set(True)
            on = [each for each, line in RELAYS.items() if node.bench.level(line)]
            assert on == [switched]
            node.output(f"{switched}.power").set(False)
