"""What config.txt switches on, and what the running device tree has of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.examination.overlays import look_at_overlays
from edgekernel.node.packs import load_board
from tests.node.computers import computer, lay, lay_pi4

CONFIG = "/boot/firmware/config.txt"


def look(root: Path) -> list[Finding]:
    """Look at the overlays of a Raspberry Pi 4."""
    return list(look_at_overlays(computer(root), load_board("raspberrypi/4b")))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a Raspberry Pi 4 of which the device tree names two more buses, which are off."""
    lay_pi4(tmp_path)
    lay(
        tmp_path,
        {
            "/proc/device-tree/aliases/i2c4": b"/soc/i2c@7e205800\0",
            "/proc/device-tree/soc/i2c@7e205800/status": b"disabled\0",
            "/proc/device-tree/aliases/serial2": b"/soc/serial@7e201400\0",
            "/proc/device-tree/soc/serial@7e201400/status": b"disabled\0",
        },
    )
    return tmp_path


def test_all_is_there(root: Path) -> None:
    """What config.txt asks for and the tree has is in order, in one finding."""
    lay(root, {CONFIG: "dtparam=i2c_arm=on\n"})
    (found,) = look(root)
    assert (found.level, found.subject) == (Level.OK, CONFIG)


@pytest.mark.parametrize(
    ("line", "name"),
    [("dtoverlay=i2c4", "i2c4"), ("dtoverlay=i2c4,pins_6_7", "i2c4"), ("dtoverlay=uart2", "uart2")],
)
def test_the_tree_has_it_not(root: Path, line: str, name: str) -> None:
    """What the running tree has switched off needs a reboot; nothing is said once it is on."""
    lay(root, {CONFIG: f"{line}\n"})
    (found,) = look(root)
    assert (found.level, found.subject) == (Level.WARNING, f"{line} ({CONFIG})")
    assert found.text == f"the running device tree has no {name}"
    assert found.fix.startswith("reboot")
    for status in root.glob("proc/device-tree/soc/*/status"):
        status.write_bytes(b"okay\0")
    assert look(root)[0].level is Level.OK


def test_one_wire(root: Path) -> None:
    """A 1-Wire bus has no alias: any node of that kind does."""
    lay(root, {CONFIG: "dtoverlay=w1-gpio\n"})
    assert [each.text for each in look(root)] == ["the running device tree has no w1"]
    (root / "proc/device-tree/onewire@4").mkdir()
    assert look(root)[0].level is Level.OK


def test_for_another_board(root: Path) -> None:
    """What stands below the filter of another model is not asked for."""
    lay(root, {CONFIG: "[pi5]\ndtoverlay=i2c4\n"})
    assert look(root)[0].level is Level.OK


def test_an_overlay_without_a_file(root: Path) -> None:
    """A name that no file has, nor the map of other names, is told; the firmware says nothing."""
    lay(
        root,
        {
            CONFIG: "dtoverlay=i2c4x\ndtoverlay=vc4-kms-v3d,noaudio\ndtoverlay=old\ndtoverlay=\n",
            "/boot/firmware/overlays/vc4-kms-v3d.dtbo": "",
            "/boot/firmware/overlays/overlay_map.dtb": b"\xd0\x0d\xfe\xedold\0renamed\0",
        },
    )
    (found,) = look(root)
    assert (found.level, found.subject) == (Level.WARNING, f"dtoverlay=i2c4x ({CONFIG})")


def test_changed_after_the_boot(root: Path) -> None:
    """A file that is younger than the boot needs one."""
    lay(root, {"/proc/stat": "cpu 1 2 3\nbtime 1700000000\n"})
    os.utime(root / CONFIG.lstrip("/"), (1_700_000_100, 1_700_000_100))
    (found,) = look(root)
    assert (found.level, found.fix) == (Level.WARNING, "reboot")
    os.utime(root / CONFIG.lstrip("/"), (1_600_000_000, 1_600_000_000))
    assert look(root)[0].level is Level.OK


def test_no_config(tmp_path: Path) -> None:
    """A computer that has no config.txt has nothing to say of it."""
    assert look(tmp_path) == []
