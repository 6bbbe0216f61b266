"""`edgekernel devices` and `edgekernel boards`: what is installed, for people and machines."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edgekernel.cli import main
from edgekernel.cli.listing import in_short
from edgekernel.node import board_names, driver_names
from tests.cli.conftest import command

TO_BE_TOLD = {
    "circuitpython": "use: is missing",
    "line_sensor": "pattern: is missing",
    "modbus_rtu": "readings: neither a reading nor an output",
}
"""Drivers that are for many parts, and what they have to be told."""


def invoke(*args: str) -> Result:
    """Run the command line in this process, on a wide terminal."""
    return CliRunner().invoke(main, args, env={"COLUMNS": "200"})


def listed(*args: str) -> dict[str, dict[str, Any]]:
    """Return what a listing prints as JSON, by name."""
    result = invoke(*args, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    entries = json.loads(result.stdout)
    assert isinstance(entries, list)
    return {entry["name"]: entry for entry in entries}


def test_devices_as_json() -> None:
    """The JSON array has every installed driver with settings, readings and outputs."""
    found = listed("devices")
    assert list(found) == list(driver_names())
    room = found["bme280"]
    assert room["module"] == "edgekernel_devices.bme280"
    assert sorted(room["readings"]) == ["humidity", "pressure", "temperature"]
    assert (room["outputs"], found["relay"]["outputs"]) == ([], ["power"])
    bus, address = room["settings"][:2]
    assert (bus["name"], bus["required"], bus["boundary"]) == ("bus", True, "I2CBus")
    assert address["name"] == "address"
    assert (address["required"], address["default"], address["enum"]) == (False, 0x76, [0x76, 0x77])


def test_settings_that_are_tables() -> None:
    """Of a table whose entries are tables the keys of those are told, nothing is left to look up
    elsewhere."""
    text = invoke("devices", "--json").stdout
    assert "$ref" not in text
    (modbus,) = [each for each in json.loads(text) if each["name"] == "modbus_rtu"]
    (readings,) = [each for each in modbus["settings"] if each["name"] == "readings"]
    (table,) = [each for each in readings["anyOf"] if each["type"] == "object"]
    register = table["additionalProperties"]
    assert register["properties"]["address"]["maximum"] == 65535
    assert register["required"] == ["address"]


def test_every_driver_describes_itself() -> None:
    """Every driver has a summary of one sentence and a description."""
    for entry in listed("devices").values():
        assert entry["summary"].endswith((".", ":")) or entry["summary"]
        assert len(entry["description"]) > len(entry["summary"])


def test_devices_as_text() -> None:
    """The text has a line per driver with what it is and which signals it has."""
    result = invoke("devices")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "driver what it is settings readings and outputs"
    (relay,) = [line for line in lines if line.startswith("relay ")]
    assert relay.endswith("pin, active_high, safe power (output)")


def test_boards_as_json() -> None:
    """The JSON array has every installed board with its lines, buses, ports and labels."""
    found = listed("boards")
    assert list(found) == list(board_names())
    pi = found["raspberrypi/4b"]
    assert pi["title"] == "Raspberry Pi 4 Model B"
    assert pi["compatible"] == ["raspberrypi,4-model-b"]
    assert "GPIO17" in pi["lines"]
    assert pi["i2c"] == ["i2c0", "i2c1", "i2c3", "i2c4", "i2c5", "i2c6"]
    assert pi["uart"] == ["uart0", "uart2", "uart3", "uart4", "uart5"]
    assert pi["spi"][:5] == ["spi0.0", "spi0.1", "spi1.0", "spi1.1", "spi1.2"]
    assert pi["onewire"] == ["w1"]
    assert pi["pwm"] == ["GPIO12", "GPIO13", "GPIO18", "GPIO19"]
    assert (pi["chips"], pi["headers"]) == (["pinctrl-bcm2711"], ["J8"])
    assert pi["labels"]["SDA"] == "GPIO2"


def test_boards_as_text() -> None:
    """The text has a line per board with its title and its buses."""
    result = invoke("boards")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    (pi,) = [line for line in lines if line.startswith("raspberrypi/4b ")]
    assert pi.startswith(
        "raspberrypi/4b Raspberry Pi 4 Model B 28 i2c0-1, i2c3-6, spi0.0-1, spi1.0-2, "
    )


@pytest.mark.parametrize(
    ("names", "short"),
    [
        ([], []),
        (["i2c1"], ["i2c1"]),
        (["i2c0", "i2c1", "i2c3"], ["i2c0-1", "i2c3"]),
        (["spi0.0", "spi0.1", "spi1.0"], ["spi0.0-1", "spi1.0"]),
        (["uart9", "uart10", "w1", "w", "w2"], ["uart9-10", "w1", "w", "w2"]),
    ],
)
def test_names_in_short(names: list[str], short: list[str]) -> None:
    """Names that count up are one item, and nothing else is."""
    assert in_short(names) == short


def test_names_are_found_by_grep() -> None:
    """Where standard output is no terminal each board and driver has one line, its name whole and
    at the beginning; of any width that a terminal may have the name is whole too."""
    for command_name, names in (("boards", board_names()), ("devices", driver_names())):
        piped = subprocess.run(
            command(command_name),
            capture_output=True,
            text=True,
            check=True,
            env={k: v for k, v in os.environ.items() if k != "COLUMNS"},
        ).stdout.splitlines()
        assert [line.split()[0] for line in piped[1:]] == list(names)
        narrow = CliRunner().invoke(main, [command_name], env={"COLUMNS": "80"}).stdout
        assert set(names) <= {line.partition(" ")[0] for line in narrow.splitlines()}


def test_one_driver() -> None:
    """`devices NAME` teaches: description with wiring, settings with type and default, signals,
    what every device takes, and a table for the node file."""
    result = invoke("devices", "relay")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0].startswith("A relay module, ")
    assert any(line.startswith("Wiring: ") for line in lines)
    assert "setting takes default" in lines
    assert 'safe "off", "on" "off"' in lines
    assert "power output bool - false" in lines
    assert {"every", "stale", "filters", "optional"} <= {line.partition(" ")[0] for line in lines}
    begin = lines.index("[devices.relay-1]")
    assert lines[begin + 1 :] == [
        'driver = "relay"', 'pin = "GPIO17"', "# active_high = true", '# safe = "off"',
    ]  # fmt: skip
    assert 'settle seconds from 0 to 1, or a text such as "20ms"' in " ".join(
        invoke("devices", "pulse_counter").stdout.split()
    )


def test_one_driver_as_json_and_unknown() -> None:
    """With --json it is what the listing has of it; an unknown name is told with the nearest."""
    assert json.loads(invoke("devices", "relay", "--json").stdout) == listed("devices")["relay"]
    wrong = invoke("devices", "relais")
    assert (wrong.exit_code, wrong.stderr) == (
        1,
        "unknown driver 'relais'; did you mean 'relay'?\n",
    )


@pytest.mark.parametrize("name", driver_names())
def test_the_table_to_begin_with(name: str, tmp_path: Path) -> None:
    """The table of each driver is right as it stands, unless it has to be told what is measured."""
    text = invoke("devices", name).stdout.partition("\nIn a node file:\n")[2]
    node = tmp_path / "node.toml"
    node.write_text(f'[node]\nname = "bench"\nboard = "raspberrypi/4b"\n{text}')
    checked = invoke("check", str(node))
    if name in TO_BE_TOLD:
        assert checked.exit_code == 1
        assert TO_BE_TOLD[name] in checked.stderr
    else:
        assert checked.exit_code == 0, checked.stderr


@pytest.mark.parametrize("command", ["devices", "boards"])
def test_narrow_terminal(command: str) -> None:
    """On a narrow terminal names are folded, never cut."""
    result = CliRunner().invoke(main, [command], env={"COLUMNS": "50"})
    assert result.exit_code == 0
    assert "…" not in result.stdout
