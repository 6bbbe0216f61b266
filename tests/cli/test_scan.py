"""`edgekernel scan`: what answers, what it may be, what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgekernel.cli import main

NODE = """
[node]
name = "bench"
board = "sim"

[devices.room]
driver = "bme280"
bus = "i2c1"
address = 0x77
"""


def invoke(*args: str) -> Result:
    """Run the command line in this process, on a wide terminal."""
    return CliRunner().invoke(main, ["scan", *args], env={"COLUMNS": "200"})


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A node file with one chip."""
    path = tmp_path / "node.toml"
    path.write_text(NODE, encoding="utf-8")
    return path


def test_a_chip_that_says_what_it_is(node: Path) -> None:
    """A chip whose identification its driver knows is named, with the device it is."""
    result = invoke("--node", str(node), "--sim", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["places"] == [
        {
            "bus": "i2c1",
            "address": "0x77",
            "answers": True,
            "drivers": ["bme280"],
            "identified": True,
            "device": "room",
        }
    ]
    assert (found["board"], found["problems"]) == ("sim", [])


@pytest.mark.parametrize("rom", ["", 'rom = "28-0316a2795bff"'])
def test_a_sensor_on_one_wire(tmp_path: Path, rom: str) -> None:
    """A 1-Wire chip is named by its family, and is the device of the node file that names its ROM
    code, or needs none as the only one."""
    path = tmp_path / "node.toml"
    pond = f'[devices.pond]\ndriver = "ds18b20"\nbus = "w1"\n{rom}\n'
    path.write_text(f'[node]\nname = "bench"\nboard = "sim"\n{pond}', encoding="utf-8")
    result = invoke("--node", str(path), "--sim", "--json")
    (place,) = json.loads(result.stdout)["places"]
    assert (place["address"], place["answers"]) == ("28-0316a2795bff", True)
    assert (place["device"], place["drivers"]) == ("pond", ["ds18b20"])
    assert result.exit_code == 0


def test_as_text(node: Path) -> None:
    """For people: a row for each address and how many have answered."""
    result = invoke("--node", str(node), "--sim")
    assert result.exit_code == 0
    assert "0x77" in result.stdout
    assert "bme280 (says so itself)" in result.stdout
    assert "1 answered" in result.stdout


def test_no_bus_on_this_computer(node: Path) -> None:
    """A bus that is not there is a problem that says what to do, and the exit code is 1."""
    result = invoke("--node", str(node), "--bus", "i2c1")
    assert result.exit_code == 1
    assert "the bus is not enabled" in result.stderr


def test_buses_by_choice(tmp_path: Path) -> None:
    """Of the buses that are there by choice those that are off are not asked, unless a device of
    the node file is expected on one."""
    result = invoke("--board", "raspberrypi/4b")
    assert result.exit_code == 1
    assert "asked i2c1: 0 answered" in result.stdout
    assert "/dev/i2c-1" in result.stderr
    path = tmp_path / "node.toml"
    device = '[devices.room]\ndriver = "bme280"\nbus = "i2c4"\n'
    path.write_text(f'[node]\nname = "bench"\nboard = "raspberrypi/4b"\n{device}')
    result = invoke("--node", str(path))
    assert "asked i2c1, i2c4: 0 answered" in result.stdout
    result = invoke("--node", str(path), "--sim")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "asked i2c1, i2c4: 1 answered" in result.stdout


def test_unknown_bus(node: Path) -> None:
    """A bus that the board does not have is refused with a suggestion."""
    result = invoke("--node", str(node), "--bus", "i2c7")
    assert result.exit_code == 1
    assert result.stderr.startswith('--bus: "i2c7" is no bus of sim; did you mean')


def test_sim_needs_a_node_file() -> None:
    """The simulated board has only the chips of a node file: without one there is nothing."""
    result = invoke("--sim")
    assert result.exit_code == 1
    assert "name it with --node" in result.stderr


def test_a_computer_that_is_no_board() -> None:
    """Without a node file the board is that of this computer; there is none here, and that is
    said."""
    result = invoke()
    assert result.exit_code == 1
    assert "no installed board matches this machine" in result.stderr
