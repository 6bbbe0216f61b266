"""`edgekernel board show`: the header as it is on the board, for people and machines."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from edgekernel.cli import main
from edgekernel.cli.board import page, show
from edgekernel.node import board_names
from edgekernel.node.board import parse_board

GREENHOUSE = Path(__file__).parents[2] / "examples" / "greenhouse" / "node.toml"


def invoke(*args: str | Path, columns: int = 80) -> Result:
    """Run `board show` in this process, on a terminal without colours."""
    command = ["board", "show", *map(str, args)]
    return CliRunner().invoke(main, command, env={"COLUMNS": str(columns)})


def rows(result: Result) -> list[str]:
    """Return the lines of an output with single spaces."""
    assert (result.exit_code, result.stderr) == (0, "")
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_header_is_drawn() -> None:
    """Odd pins stand on the left and even ones on the right, their numbers in the middle."""
    lines = rows(invoke("raspberrypi/4b"))
    assert lines[0] == "raspberrypi/4b Raspberry Pi 4 Model B"
    assert "3V3 1 2 5V" in lines
    assert "SDA i2c1 spi3 GPIO2 3 4 5V" in lines
    assert "MISO spi0 i2c4 uart4 GPIO9 21 22 GPIO25 spi4.1" in lines
    assert "reserved i2c0 spi3.0 uart2 GPIO0 27 28 GPIO1 reserved i2c0 spi3 uart2" in lines
    assert "reserved: GPIO0: HAT EEPROM (ID_SD)" in lines
    wide = rows(invoke("raspberrypi/4b", columns=100))
    assert "w1 /sys/bus/w1/devices GPIO4 config.txt: dtoverlay=w1-gpio" in wide
    assert "spi1.0, spi1.1, spi1.2: modes 0 and 2 only" in lines
    assert lines[-1] == "GPIO chips: pinctrl-bcm2711"


def test_users_are_drawn() -> None:
    """With a node file each pin has who uses it, and each bus who is on it."""
    lines = rows(invoke("--node", GREENHOUSE))
    assert lines[0] == "raspberrypi/4b Raspberry Pi 4 Model B, as greenhouse-1 uses it"
    assert "heater.pin GPIO17 11 12 GPIO18 PWM0 pwm ch0" in lines
    assert "room.bus SDA i2c1 GPIO2 3 4 5V" in lines
    assert "GND 9 10 GPIO15 RXD uart0 position.port" in lines
    assert "i2c1 /dev/i2c-1 at 100 kHz GPIO2, GPIO3 room 0x76" in lines


@pytest.mark.parametrize("name", board_names())
def test_every_board_fits(name: str) -> None:
    """Every board can be drawn in 80 columns, with nothing cut, each pin on one line."""
    result = invoke(name)
    lines = rows(result)
    assert lines[-1].startswith("GPIO chips: ")
    assert "…" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    shown = json.loads(invoke(name, "--json").stdout)
    for pins in shown["headers"].values():
        for left, right in zip(pins[::2], pins[1::2], strict=True):
            middle = f"{left['name']} {left['number']} {right['number']} {right['name']}"
            assert any(middle in line for line in lines)


def test_several_headers() -> None:
    """The headers of a board come one after the other; one may have an odd number of pins."""
    text = """
name = "Two headers"
compatible = []
source = "made up"
[gpio]
chip = "chip0"
lines = { A = 0, B = 1 }
[headers.P1]
1 = "A"
2 = "GND"
3 = "5V"
[headers.P2]
1 = "B"
"""
    console = Console(file=StringIO(), width=80)
    for part in page(parse_board("maker/two", text, "two.toml"), None):
        console.print(part)
    assert isinstance(console.file, StringIO)
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    assert lines.index("P1") < lines.index("A 1 2 GND") < lines.index("5V 3") < lines.index("P2")
    assert lines.index("P2") < lines.index("B 1")


def test_as_json() -> None:
    """For machines there is an object with every pin, every bus and the source of the data."""
    shown = json.loads(invoke("--node", GREENHOUSE, "--json").stdout)
    assert (shown["name"], shown["chips"]) == ("raspberrypi/4b", ["pinctrl-bcm2711"])
    assert shown["lines"]["GPIO17"] == {"chip": "pinctrl-bcm2711", "line": 17}
    assert shown["headers"]["J8"][10] == {
        "number": 11,
        "name": "GPIO17",
        "kind": "line",
        "functions": [],
        "reserved": "",
        "used_by": ["heater.pin"],
    }
    (i2c,) = [bus for bus in shown["buses"] if bus["name"] == "i2c1"]
    assert (i2c["speed_hz"], i2c["users"]) == (100_000, ["room 0x76"])
    shown = json.loads(invoke("raspberrypi/4b", "--json").stdout)
    assert "EEPROM" in shown["buses"][0]["note"]
    assert shown["source"].startswith("Header J8")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["raspberry/4b"], "unknown board 'raspberry/4b'; did you mean 'raspberrypi/4b'?\n"),
        (
            ["sim", "--node", GREENHOUSE],
            "node.toml is for the board raspberrypi/4b, not for sim: leave out one\n",
        ),
    ],
)
def test_refused(args: list[str | Path], said: str) -> None:
    """A board that is not there is refused with the nearest, and so is one too many."""
    result = invoke(*args)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", said)


def test_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a board it is the machine itself, by its device tree."""
    compatible = tmp_path / "compatible"
    monkeypatch.setattr("edgekernel.node.plan._DEVICE_TREE", compatible)
    compatible.write_bytes(b"raspberrypi,5-model-b\0brcm,bcm2712\0")
    assert rows(invoke())[0] == "raspberrypi/5 Raspberry Pi 5"
    compatible.write_bytes(b"maker,unknown\0")
    result = invoke()
    assert result.exit_code == 1
    assert "no installed board matches this machine (maker,unknown)" in result.stderr


def test_names_are_completed() -> None:
    """The shell completes the names of boards."""
    (name,) = [each for each in show.params if each.name == "name"]
    found = name.shell_complete(click.Context(show), "raspberrypi/4")
    assert [item.value for item in found] == ["raspberrypi/400", "raspberrypi/4b"]
