"""The command by which an NVMe disk is asked, as the kernel takes it."""

from __future__ import annotations

import ctypes
import fcntl
import struct
from pathlib import Path

import pytest

from edgekernel.node.nvme import health_log


class Kernel:
    """Takes the command of linux/nvme_ioctl.h as the kernel does."""

    def __init__(self, status: int = 0) -> None:
        self.status = status

    def ioctl(self, file: int, request: int, command: bytearray) -> int:
        """Carry the command out."""
        assert request == 3 << 30 | len(command) << 16 | ord("N") << 8 | 0x41  # _IOWR('N', 0x41)
        assert len(command) == 72
        opcode, nsid = command[0], struct.unpack_from("=I", command, 4)[0]
        address, length = struct.unpack_from("=Q", command, 24)[0], command[36:40]
        cdw10 = struct.unpack_from("=I", command, 40)[0]
        assert (opcode, nsid) == (2, 0xFFFFFFFF)
        assert (cdw10 & 0xFF, (cdw10 >> 16) + 1) == (2, 512 // 4)
        assert int.from_bytes(length, "little") == 512
        if not self.status:
            ctypes.memmove(address, bytes(range(256)) * 2, 512)
        return self.status


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The health log of the whole controller is asked for, and comes as the disk gives it."""
    (tmp_path / "nvme0").touch()
    monkeypatch.setattr(fcntl, "ioctl", Kernel().ioctl)
    assert health_log(tmp_path / "nvme0") == bytes(range(256)) * 2


def test_a_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that refuses is an error that says how."""
    (tmp_path / "nvme0").touch()
    monkeypatch.setattr(fcntl, "ioctl", Kernel(0x2009).ioctl)
    with pytest.raises(OSError, match="NVMe status 0x2009"):
        health_log(tmp_path / "nvme0")


def test_what_is_no_disk(tmp_path: Path) -> None:
    """The kernel itself refuses a file that is no NVMe disk."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        health_log(tmp_path / "file")
