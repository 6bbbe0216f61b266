"""The figures of a computer that change while it runs."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from edgekernel.node.vitals import (
    Memory,
    Room,
    Throttling,
    memory,
    room,
    slowed,
    throttling,
    under_voltage,
)
from tests.node.computers import MEBIBYTE, computer, disk, lay

THROTTLED = "/sys/devices/platform/soc/soc:firmware/get_throttled"


def test_room_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    """The disk is that of the nearest folder around it that is there."""
    machine = computer(tmp_path, statvfs=disk(1000, 250, flags=os.ST_RDONLY))
    assert room(machine, "/var/lib/bench") == Room(250 * MEBIBYTE, 25.0, 90.0, True)


def test_room_that_nobody_tells(tmp_path: Path) -> None:
    """A disk that answers with an error, or has no size, as those in memory, has no figures."""

    def broken(path: Path) -> os.statvfs_result:
        raise OSError(5, "Input/output error")

    assert room(computer(tmp_path, statvfs=broken), "/") is None
    assert room(computer(tmp_path, statvfs=disk(0, 0)), "/") is None


def test_room_of_this_computer(tmp_path: Path) -> None:
    """A real file system has figures, as the system gives them."""
    found = room(computer(tmp_path, statvfs=os.statvfs), "/")
    assert found is not None
    assert 0 <= found.free_percent <= 100


@given(st.integers(0, 0xFFFFFFFF))
def test_bits_of_the_firmware(bits: int) -> None:
    """Any value is understood; bits that mean nothing yet are left out."""
    told = Throttling(bits & 0xF000F)
    assert slowed(told) is bool(bits & 0b1110)


def test_throttling_is_hexadecimal(tmp_path: Path) -> None:
    """The kernel writes the bits in hexadecimal without a prefix; what is no number is unknown."""
    lay(tmp_path, {THROTTLED: "50005\n"})
    told = throttling(computer(tmp_path))
    assert told == 0x50005
    assert under_voltage(computer(tmp_path), told) is True
    lay(tmp_path, {THROTTLED: "never\n"})
    assert throttling(computer(tmp_path)) is None


LINE = st.builds(
    "{}:{} {}".format,
    st.sampled_from(["MemTotal", "MemAvailable", "x"]),
    st.integers() | st.just("9" * 5000) | st.text(max_size=5),
    st.sampled_from(["kB", "", "MB"]),
)


@given(st.lists(LINE, max_size=6))
def test_memory_of_any_text(lines: list[str]) -> None:
    """A table that makes no sense is no memory, and never an exception."""
    with TemporaryDirectory() as folder:
        lay(Path(folder), {"/proc/meminfo": "\n".join(lines).encode(errors="replace")})
        found = memory(computer(Path(folder)))
    assert found is None or found.total_bytes > 0


def test_memory(tmp_path: Path) -> None:
    """The memory is in bytes; a kernel that does not say what is available leaves it unknown."""
    lay(tmp_path, {"/proc/meminfo": "MemTotal: 1000 kB\nHugePages_Total: 0\nMemAvailable: 1 kB\n"})
    assert memory(computer(tmp_path)) == Memory(1_024_000, 1024)
    lay(tmp_path, {"/proc/meminfo": "MemTotal: 1000 kB\nMemFree: 1 kB\n"})
    assert memory(computer(tmp_path)) is None
