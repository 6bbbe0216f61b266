"""SPI of Linux, on a stand-in for spidev: its device files are real, its chip is not."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edgekernel.backends.linux import LinuxBackend
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import BrokenError, BusyError, ClosedError, InvalidValueError
from edgekernel.hal import SpiDevice
from edgekernel.hal.address import SpiAddress


class SpiDev:
    """What spidev's class does, with a chip that answers every bit inverted."""

    transfers: list[list[int]]
    opened: list[SpiDev]
    refusals: dict[str, int]

    def __init__(self) -> None:
        self._file = -1
        self.settings: dict[str, object] = {}
        type(self).opened.append(self)

    def __setattr__(self, name: str, value: object) -> None:
        if name in ("mode", "lsbfirst", "max_speed_hz", "bits_per_word"):
            refusal = self.refusals.get(f"{name}={value}")
            if refusal is not None:
                raise OSError(refusal, os.strerror(refusal))
            self.settings[name] = value
        else:
            object.__setattr__(self, name, value)

    def open_path(self, path: str) -> None:
        if "open" in self.refusals:
            raise OSError(self.refusals["open"], os.strerror(self.refusals["open"]))
        self._file = os.open(path, os.O_RDWR)

    def fileno(self) -> int:
        return self._file

    def xfer2(self, values: list[int]) -> list[int]:
        if "transfer" in self.refusals:
            raise OSError(self.refusals["transfer"], os.strerror(self.refusals["transfer"]))
        self.transfers.append(values)
        return [value ^ 0xFF for value in values]

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


@pytest.fixture(autouse=True)
def spidev(monkeypatch: pytest.MonkeyPatch) -> type[SpiDev]:
    """A module `spidev` to import."""
    SpiDev.transfers, SpiDev.opened, SpiDev.refusals = [], [], {}
    module: Any = ModuleType("spidev")
    module.SpiDev = SpiDev
    monkeypatch.setitem(sys.modules, "spidev", module)
    return SpiDev


@pytest.fixture
def backend() -> Iterator[LinuxBackend]:
    """A LinuxBackend."""
    made = LinuxBackend(SystemClock())
    yield made
    made.close()


@pytest.fixture
def address(tmp_path: Path) -> SpiAddress:
    """A chip select whose device file is there."""
    device = tmp_path / "spidev0.0"
    device.touch()
    return SpiAddress("spi0.0", str(device))


@pytest.fixture
def select(backend: LinuxBackend, address: SpiAddress) -> SpiDevice:
    """A closed chip select."""
    return backend.spi_device(address)


def test_transfer(select: SpiDevice) -> None:
    """The settings reach the driver, and each transfer is one transaction."""
    select.open(1_000_000, mode=3)
    assert select.transfer(b"\x01\x80\x00") == b"\xfe\x7f\xff"
    assert SpiDev.transfers == [[0x01, 0x80, 0x00]]
    assert SpiDev.opened[0].settings == {
        "max_speed_hz": 1_000_000,
        "bits_per_word": 8,
        "mode": 3,
        "lsbfirst": False,
    }


def test_second_user(backend: LinuxBackend, select: SpiDevice, address: SpiAddress) -> None:
    """A chip select that somebody has is busy, and free again after close."""
    other = backend.spi_device(address)
    select.open(1000)
    with pytest.raises(BusyError, match=r"spi0\.0 \(.*\): in use by this process"):
        other.open(1000)
    with pytest.raises(BusyError, match="already open"):
        select.open(1000)
    select.close()
    other.open(1000)
    other.close()


def test_closed(backend: LinuxBackend, select: SpiDevice) -> None:
    """Before open and after close, by whomever, a transfer raises ClosedError."""
    with pytest.raises(ClosedError, match=r"spi0\.0"):
        select.transfer(b"x")
    select.open(1000)
    backend.close()
    select.close()
    with pytest.raises(ClosedError, match=r"spi0\.0"):
        select.transfer(b"x")


@pytest.mark.parametrize(
    ("number", "error", "text"),
    [
        (errno.ENOENT, BrokenError, "dtparam=spi=on"),
        (errno.EACCES, BrokenError, "group spi"),
        (errno.EBUSY, BusyError, "in use by another process"),
        (errno.EIO, BrokenError, "cannot be opened"),
    ],
)
def test_refused(select: SpiDevice, number: int, error: type[OSError], text: str) -> None:
    """A chip select that cannot be opened says what to do, and is left closed."""
    SpiDev.refusals["open"] = number
    with pytest.raises(error, match=rf"spi0\.0 .*{text}"):
        select.open(1000)
    SpiDev.refusals.clear()
    select.open(1000)


def test_missing_package(select: SpiDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package spidev the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "spidev", None)
    with pytest.raises(BrokenError, match=r"spi0\.0 .*edgekernel\[pi\]"):
        select.open(1000)


def test_controller_cannot(select: SpiDevice) -> None:
    """A bit order that the controller lacks is an invalid value, and the file is closed."""
    SpiDev.refusals["lsbfirst=True"] = errno.EINVAL
    with pytest.raises(InvalidValueError, match="lowest bit first"):
        select.open(1000, lsb_first=True)
    assert SpiDev.opened[-1].fileno() == -1
    select.open(1000)


@pytest.mark.parametrize(("speed_hz", "mode"), [(0, 0), (-5, 0), (1000, 4), (1000, -1)])
def test_invalid(select: SpiDevice, speed_hz: int, mode: int) -> None:
    """A clock of nothing or a fifth mode is refused before the device is touched."""
    with pytest.raises(InvalidValueError, match=r"spi0\.0"):
        select.open(speed_hz, mode=mode)
    assert SpiDev.opened == []


def test_lengths(select: SpiDevice) -> None:
    """A transaction has 1 to 4096 bytes."""
    select.open(1000)
    assert len(select.transfer(bytes(4096))) == 4096
    for length in (0, 4097):
        with pytest.raises(InvalidValueError, match=f"{length} bytes"):
            select.transfer(bytes(length))


def test_transfer_fails(select: SpiDevice) -> None:
    """A transfer that fails is broken and names the chip select."""
    select.open(1000)
    SpiDev.refusals["transfer"] = errno.EIO
    with pytest.raises(BrokenError, match=r"spi0\.0 .*transfer of 1 bytes failed"):
        select.transfer(b"x")
