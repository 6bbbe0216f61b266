"""The wear of NVMe disks, by the log that they give."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.examination.nvme_wear import look_at_nvme
from tests.node.computers import computer, lay


def log(critical: int = 0, spare: int = 100, threshold: int = 10, used: int = 3) -> bytes:
    """Return a health log: the bytes that matter, by the NVM Express specification."""
    return bytes((critical, 0x2C, 0x01, spare, threshold, used)).ljust(512, b"\0")


def look(root: Path, content: bytes) -> Finding:
    """Look at a disk that gives this log."""
    model = {"/sys/class/nvme/nvme0/model": "Sturdy SSD 250GB    \n"}
    lay(root, {**model, "/sys/class/nvme/nvme-fabrics/model": "", "/dev/nvme0": content})
    (found,) = look_at_nvme(computer(root))
    assert found.subject == "NVMe disk nvme0"
    assert found.text.startswith("Sturdy SSD 250GB: ")
    assert bool(found.fix) is (found.level is not Level.OK)
    return found


@pytest.mark.parametrize(
    ("content", "level", "text"),
    [
        (log(), Level.OK, "3 % of its estimated life time used, 100 % spare"),
        (log(used=80), Level.WARNING, "80 % of its estimated life time used"),
        (log(used=100), Level.ERROR, "100 % of its estimated life time used"),
        (log(used=255), Level.ERROR, "255 % of its estimated life time used"),
        (log(spare=10), Level.WARNING, "10 % spare"),
        (log(critical=0x01, spare=2), Level.ERROR, "its spare blocks are used up"),
        (log(critical=0x0C), Level.ERROR, "it has become unreliable; it can only be read"),
        (log(critical=0x02), Level.OK, "100 % spare"),  # heat, which other findings are of
    ],
)
def test_wear(tmp_path: Path, content: bytes, level: Level, text: str) -> None:
    """Life time, spare blocks and what the disk itself calls critical count."""
    found = look(tmp_path, content)
    assert found.level is level
    assert text in found.text


def test_only_root_is_told(tmp_path: Path) -> None:
    """For another user it is said what has to be done to know it."""
    lay(tmp_path, {"/sys/class/nvme/nvme0/model": "Sturdy\n"})

    def refused(device: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(device))

    (found,) = look_at_nvme(computer(tmp_path, nvme_log=refused))
    assert (found.level, found.text) == (
        Level.OK,
        "Sturdy: tells its wear to root only: sudo edgekernel doctor",
    )


def test_a_disk_that_does_not_tell(tmp_path: Path) -> None:
    """A disk that has no such log is no fault."""
    lay(tmp_path, {"/sys/class/nvme/nvme0/model": "\n"})
    (found,) = look_at_nvme(computer(tmp_path))
    assert found.level is Level.OK
    assert found.text.startswith("without a name: does not tell its wear: ")


def test_none(tmp_path: Path) -> None:
    """A computer without such disks is not told of any."""
    assert list(look_at_nvme(computer(tmp_path))) == []
