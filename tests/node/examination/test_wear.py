"""The wear of flash: eMMC by JESD84-B51, and SD cards, which say nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel.node.examination.finding import Level
from edgekernel.node.examination.wear import look_at_wear
from tests.node.computers import computer, lay

DEVICE = "/sys/block/mmcblk0/device"


@pytest.mark.parametrize(
    ("life_time", "pre_eol", "level", "text"),
    [
        ("0x01 0x02", "0x01", Level.OK, "10 to 20 % of its estimated life time used"),
        ("0x09 0x01", "0x01", Level.WARNING, "80 to 90 % of its estimated life time used"),
        ("0x0b 0x0b", "0x01", Level.ERROR, "its estimated life time is over"),
        ("0x01 0x01", "0x02", Level.WARNING, "80 % of its reserved blocks are used"),
        ("0x01 0x01", "0x03", Level.ERROR, "90 % of its reserved blocks are used"),
        ("0x00 0x00", "0x01", Level.OK, "its life time is not told"),
        ("0x00 0x00", "0x00", Level.OK, "its wear is unknown"),
        ("", "", Level.OK, "its wear is unknown"),
        ("never", "", Level.OK, "its wear is unknown"),
    ],
)
def test_emmc(tmp_path: Path, life_time: str, pre_eol: str, level: Level, text: str) -> None:
    """The worse of the two kinds of cells counts, and so do the reserved blocks."""
    lay(
        tmp_path,
        {
            f"{DEVICE}/type": "MMC\n",
            f"{DEVICE}/name": "DG4016\n",
            f"{DEVICE}/date": "11/2019\n",
            f"{DEVICE}/life_time": f"{life_time}\n",
            f"{DEVICE}/pre_eol_info": f"{pre_eol}\n",
        },
    )
    (found,) = look_at_wear(computer(tmp_path))
    assert (found.level, found.subject) == (level, "eMMC mmcblk0")
    assert found.text.startswith("DG4016 of 11/2019: ")
    assert text in found.text
    assert bool(found.fix) is (level is not Level.OK)


def test_an_sd_card_does_not_tell(tmp_path: Path) -> None:
    """Of an SD card the name and date are told, and that nobody knows its wear."""
    lay(tmp_path, {f"{DEVICE}/{name}": text for name, text in (("type", "SD"), ("name", "SC32G"))})
    (found,) = look_at_wear(computer(tmp_path))
    assert found.subject == "SD card mmcblk0"
    assert found.text == "SC32G: an SD card does not tell its wear"


def test_boot_partitions_and_disks(tmp_path: Path) -> None:
    """The boot partitions of an eMMC are no flash of their own; disks without such figures are not
    told."""
    for name in ("mmcblk1", "mmcblk1boot0", "mmcblk1rpmb", "sda", "loop0"):
        lay(tmp_path, {f"/sys/block/{name}/device/type": "MMC\n"})
    assert [each.subject for each in look_at_wear(computer(tmp_path))] == ["eMMC mmcblk1"]
