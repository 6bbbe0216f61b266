"""Packs: drivers and boards of third parties are found as our own are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.node import board_names, driver_names, load_board, load_driver
from edgekernel.node.packs import find_board

PUMP = '''
from edgekernel import Device, output
from edgekernel.hal import DigitalOutput


class Pump(Device):
    """A pump."""

    power = output(bool, safe=False)

    def __init__(self, id: str, *, pin: DigitalOutput, boost: int = 1) -> None:
        super().__init__(id)
        self._pin = pin

    def connect(self) -> None:
        self._pin.open(False)

    def disconnect(self) -> None:
        self._pin.close()

    @power.drive
    def switch(self, on: bool) -> bool:
        self._pin.write(on)
        return on
'''

BOARD = """
name = "Board of mine"
compatible = ["mine,board"]
source = "made up"

[gpio]
chip = "chip0"
lines = { GPIO1 = 1 }
"""


def install(site: Path, name: str, group: str, files: Mapping[str, str]) -> None:
    """Install a distribution with one package of its name and an entry point that names it."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {name}\n")
    for file, content in {"__init__.py": "", **files}.items():
        path = site / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def edgekernel(site: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command line where the distributions in `site` are installed."""
    return subprocess.run(
        [sys.executable, "-c", "from edgekernel.cli import main; main()", *args],
        env={**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def listed(site: Path, what: str) -> dict[str, dict[str, Any]]:
    """Return what `edgekernel devices` or `boards` lists, by name."""
    done = edgekernel(site, what, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return {entry["name"]: entry for entry in json.loads(done.stdout)}


def test_own_pack() -> None:
    """The drivers and boards that come with edgekernel are there, sorted by name."""
    assert list(driver_names()) == sorted(driver_names())
    assert list(board_names()) == sorted(board_names())
    for name, module in driver_names().items():
        assert load_driver(name).__module__ == module
    for name in board_names():
        assert load_board(name).id == name


def test_unknown_names() -> None:
    """A driver or board that is not installed is told with the nearest name."""
    with pytest.raises(ConfigError, match="unknown driver 'bme28'; did you mean 'bme280'\\?"):
        load_driver("bme28")
    with pytest.raises(ConfigError, match="unknown board 'rasp/4b'; did you mean 'raspberrypi/4b'"):
        load_board("rasp/4b")


def test_board_by_device_tree() -> None:
    """The board is found by the first of a machine's `compatible` strings that one has."""
    assert find_board(("x,y", "raspberrypi,4-model-b", "brcm,bcm2711")).id == "raspberrypi/4b"
    with pytest.raises(ConfigError) as caught:
        find_board(("maker,unknown", "soc,unknown"))
    text = str(caught.value)
    assert "no installed board matches this machine (maker,unknown, soc,unknown)" in text
    assert all(name in text for name in board_names())


def test_drivers_of_a_third_party(tmp_path: Path) -> None:
    """A driver in somebody's installed pack is listed and used like ours, without an edit."""
    install(
        tmp_path,
        "pumps",
        "edgekernel.devices",
        {"pump.py": PUMP, "_parts.py": "raise AssertionError('private modules are no drivers')"},
    )
    drivers = listed(tmp_path, "devices")
    assert {"pump", "relay"} <= set(drivers)
    assert "_parts" not in drivers
    assert drivers["pump"]["module"] == "pumps.pump"
    assert drivers["pump"]["outputs"] == ["power"]
    node = tmp_path / "node.toml"
    node.write_text(
        '[node]\nname = "n"\nboard = "sim"\n[devices.well]\ndriver = "pump"\npin = "GPIO4"\n'
    )
    done = edgekernel(tmp_path, "check", str(node))
    assert (done.returncode, done.stderr) == (0, "")
    assert "well" in done.stdout


def test_boards_of_a_third_party(tmp_path: Path) -> None:
    """A board file in somebody's installed pack, in a folder or not, is a board."""
    install(tmp_path, "mine", "edgekernel.boards", {"maker/board.toml": BOARD, "plain.toml": BOARD})
    boards = listed(tmp_path, "boards")
    assert {"maker/board", "plain", "raspberrypi/4b"} <= set(boards)
    assert boards["maker/board"]["lines"] == ["GPIO1"]


def test_one_driver_in_two_packs(tmp_path: Path) -> None:
    """Two packs with a driver of the same name are an error that names both modules."""
    install(tmp_path, "other", "edgekernel.devices", {"relay.py": PUMP})
    done = edgekernel(tmp_path, "devices")
    assert done.returncode == 1
    assert done.stderr == (
        "driver 'relay' is in two packs: edgekernel_devices.relay and other.relay; "
        "uninstall one of them\n"
    )


def test_one_board_in_two_packs(tmp_path: Path) -> None:
    """Two packs with a board of the same name are an error that names both files."""
    install(tmp_path, "other", "edgekernel.boards", {"sim.toml": BOARD})
    done = edgekernel(tmp_path, "boards")
    assert done.returncode == 1
    assert done.stderr.startswith("board 'sim' is in two packs: ")
    assert f"{tmp_path}/other/sim.toml" in done.stderr


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"__init__.py": "import no_such_library"},
            "pack 'bad' (bad, entry point group edgekernel.devices): cannot be imported: "
            "ModuleNotFoundError: No module named 'no_such_library'",
        ),
        (
            {"pump.py": "import no_such_library"},
            "driver 'pump' (bad.pump) needs: No module named 'no_such_library'",
        ),
        (
            {"pump.py": "1 / 0"},
            "driver 'pump' (bad.pump): cannot be imported: ZeroDivisionError: division by zero",
        ),
        (
            {"pump.py": "class Pump"},
            "driver 'pump' (bad.pump): cannot be imported: SyntaxError: expected ':'",
        ),
        (
            {"pump.py": "from edgekernel_devices.relay import Relay"},
            "driver 'pump' (bad.pump): a driver module holds exactly one public Device class; "
            "this one holds 0",
        ),
        (
            {"pump.py": PUMP.replace("boost: int = 1", "**options: int")},
            "driver 'pump' (bad.pump): its settings cannot be known: TypeError: Pump.__init__: "
            "*options cannot be filled from outside",
        ),
        (
            {"pump.py": PUMP.replace("boost: int = 1", "boost: 'Missing' = 1")},
            "driver 'pump' (bad.pump): its settings cannot be known: NameError: name 'Missing' "
            "is not defined",
        ),
    ],
    ids=["package", "library", "raises", "syntax", "no class", "any keys", "annotation"],
)
def test_broken_driver_pack(tmp_path: Path, files: dict[str, str], said: str) -> None:
    """What is wrong with a driver pack is one sentence that names the pack or the module, in
    the listing and in `check`, and a broken driver harms no other."""
    install(tmp_path, "bad", "edgekernel.devices", files)
    done = edgekernel(tmp_path, "devices")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    node = tmp_path / "node.toml"
    node.write_text(
        '[node]\nname = "n"\nboard = "sim"\n[devices.well]\ndriver = "pump"\npin = "GPIO4"\n'
    )
    done = edgekernel(tmp_path, "check", str(node))
    assert done.returncode == 1
    assert f"node.toml: devices.well.driver: {said}" in done.stderr
    assert "Traceback" not in done.stderr
    if "__init__.py" not in files:
        node.write_text(node.read_text().replace("pump", "relay"))
        assert edgekernel(tmp_path, "check", str(node)).returncode == 0


def test_broken_board_pack(tmp_path: Path) -> None:
    """What is wrong with a board file is told with the file and the key."""
    install(tmp_path, "bad", "edgekernel.boards", {"b.toml": BOARD.replace("chip0", "")[:-20]})
    done = edgekernel(tmp_path, "boards")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path}/bad/b.toml: ")
    assert "Traceback" not in done.stderr
