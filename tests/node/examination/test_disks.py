"""Disks: their room, what can only be read, and their errors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekernel.node.examination.disks import look_at_disks
from edgekernel.node.examination.finding import Finding, Level
from tests.node.computers import computer, disk, lay


def wrong(found: list[Finding]) -> list[Finding]:
    """Give the findings that are not in order."""
    return [each for each in found if each.level is not Level.OK]


@pytest.mark.parametrize(
    ("total_mib", "free_mib", "level"),
    [
        (16_000, 8_000, Level.OK),
        (1_000, 99, Level.WARNING),
        (1_000, 19, Level.ERROR),
        (500_000, 5_000, Level.OK),  # 1 %, but enough
    ],
)
def test_room(tmp_path: Path, total_mib: int, free_mib: int, level: Level) -> None:
    """Little room is a warning, hardly any an error; of a large disk a small share is enough."""
    machine = computer(tmp_path, statvfs=disk(total_mib, free_mib))
    (found,) = look_at_disks(machine, "/var/lib/bench")
    assert (found.level, found.subject) == (level, "disk (/var/lib/bench)")
    assert f"{free_mib * 1.048576:,.0f} MB free" in found.text


def test_inodes(tmp_path: Path) -> None:
    """A disk with room can have no inodes left; one that makes them as needed has no such limit."""
    machine = computer(tmp_path, statvfs=disk(free_files=10_000))
    (found,) = wrong([*look_at_disks(machine, "/")])
    assert (found.level, found.text[:31]) == (Level.ERROR, "only 1 % of the inodes are free")
    machine = computer(tmp_path, statvfs=disk(free_files=0, files=0))
    assert wrong([*look_at_disks(machine, "/")]) == []


def test_the_data_folder_can_only_be_read(tmp_path: Path) -> None:
    """A data folder that nobody can write is an error."""
    machine = computer(tmp_path, statvfs=disk(flags=os.ST_RDONLY))
    (found,) = wrong([*look_at_disks(machine, "/var/lib/bench")])
    assert (found.level, found.text[:16]) == (Level.ERROR, "can only be read")


def test_a_root_that_is_meant_to_be_read(tmp_path: Path) -> None:
    """A full root in which nothing is to be kept, and that can only be read, is in order; one that
    fstab has for writing is not."""
    machine = computer(tmp_path, statvfs=disk(free_mib=0, flags=os.ST_RDONLY))
    (found,) = look_at_disks(machine, "/", written=False)
    assert (found.level, found.text[:16]) == (Level.OK, "can only be read")
    mounted = "27 1 8:1 / / rw - ext4 /dev/a ro\n"
    lay(tmp_path, {"/etc/fstab": "/dev/a / ext4 rw 0 1\n", "/proc/self/mountinfo": mounted})
    (error,) = wrong([*look_at_disks(machine, "/", written=False)])
    assert (error.level, error.subject) == (Level.ERROR, "file system /")


def test_remounted_after_errors(tmp_path: Path) -> None:
    """What fstab has for writing and the kernel has not is an error; what is meant to be read only,
    stands in no fstab, or is kept from this process alone, is not."""
    lay(
        tmp_path,
        {
            "/etc/fstab": (
                "# <device> <place> <kind> <options>\n"
                "PARTUUID=1-01 / ext4 ro,noatime 0 1\n"
                "PARTUUID=1-02 /my\\040data ext4 defaults 0 2\n"
                "PARTUUID=1-04 /boot ext4 defaults 0 2\n"
            ),
            "/proc/self/mountinfo": (
                "27 1 179:2 / / ro,noatime shared:1 - ext4 /dev/mmcblk0p2 ro\n"
                "31 27 179:3 / /my\\040data rw,noatime shared:2 master:3 - ext4 /dev/mmcblk0p3 "
                "ro,errors=remount-ro\n"
                "32 27 7:1 / /snap/core ro - squashfs /dev/loop1 ro\n"
                "33 27 8:1 / /mnt ro - ext4 /dev/sda1 ro\n"
                "34 27 179:4 / /boot ro,relatime - ext4 /dev/mmcblk0p4 rw\n"
            ),
        },
    )
    (found,) = wrong([*look_at_disks(computer(tmp_path), "/")])
    assert (found.level, found.subject) == (Level.ERROR, "file system /my data")
    assert "sudo fsck /dev/mmcblk0p3" in found.fix


def test_errors_of_ext4(tmp_path: Path) -> None:
    """A file system that has noted errors is a warning; of many the first few are told."""
    for number in range(20):
        lay(tmp_path, {f"/sys/fs/ext4/sd{number}/errors_count": f"{number}\n"})
    found = wrong([*look_at_disks(computer(tmp_path), "/")])
    assert found[0].subject == "file system on sd1"
    assert found[0].text == "1 errors since it was last checked"
    assert len(found) < 9
