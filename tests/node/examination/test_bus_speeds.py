"""The clock of a bus, in the device tree and in the node file."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel.node.examination.bus_speeds import look_at_speeds
from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.packs import load_board
from tests.node.computers import computer, lay, lay_pi4

BOARD = load_board("raspberrypi/4b")


def look(root: Path, bus: str, expected_hz: int) -> list[Finding]:
    """Look at one bus, which the node reckons with a clock."""
    buses = [BOARD.bus(bus), BOARD.bus(bus)]
    return list(look_at_speeds(computer(root), BOARD, buses, lambda name: expected_hz))


def test_as_expected(tmp_path: Path) -> None:
    """A bus with the expected clock is in order; used by several devices, it is told once."""
    lay_pi4(tmp_path)
    (found,) = look(tmp_path, "i2c1", 100_000)
    assert (found.level, found.subject, found.text) == (Level.OK, "i2c1 speed", "100 kHz")


@pytest.mark.parametrize(
    ("bus", "adapter", "line"),
    [
        ("i2c1", "i2c-1", "dtparam=i2c_arm_baudrate=400000"),
        ("i2c4", "i2c-4", "dtoverlay=i2c4,baudrate=400000"),
    ],
)
def test_another(tmp_path: Path, bus: str, adapter: str, line: str) -> None:
    """Another clock is a warning, with what makes the one or the other right."""
    lay_pi4(tmp_path)
    cell = (62_500).to_bytes(4, "big")
    lay(tmp_path, {f"/sys/bus/i2c/devices/{adapter}/of_node/clock-frequency": cell})
    (found,) = look(tmp_path, bus, 400_000)
    assert found.level is Level.WARNING
    assert found.text == "62.5 kHz, but the node reckons with 400 kHz"
    assert f"speed_hz = 62500 below [buses.{bus}]" in found.fix
    assert f"put {line} into /boot/firmware/config.txt and reboot" in found.fix


@pytest.mark.parametrize("cell", [b"", b"\0\0\0\0", b"100000", None])
def test_nobody_tells(tmp_path: Path, cell: bytes | None) -> None:
    """A bus that is not there, or does not say its clock, is passed over."""
    if cell is not None:
        lay(tmp_path, {"/sys/bus/i2c/devices/i2c-1/of_node/clock-frequency": cell})
    assert look(tmp_path, "i2c1", 100_000) == []
