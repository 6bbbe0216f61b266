"""I²C buses of Linux: real smbus2, with the kernel's ioctl played by a recording stand-in."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekernel.backends.backend import Backend
from edgekernel.backends.linux import LinuxBackend
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import BrokenError, ClosedError, InvalidValueError, NackError
from edgekernel.hal import I2CBus
from edgekernel.hal.address import BusAddress

I2C_FUNCS, I2C_RDWR = 0x0705, 0x0707  # Linux, include/uapi/linux/i2c-dev.h
I2C_M_RD = 0x0001  # include/uapi/linux/i2c.h

Message = tuple[int, bytes | int]
"""Address, and what was written or how many bytes were read."""


class Kernel:
    """Plays the ioctl of i2c-dev: every read is answered with 0, 1, 2, ... 255, 0, ..."""

    def __init__(self) -> None:
        self.transactions: list[list[Message]] = []
        self.error: int | None = None

    def ioctl(self, file: int, request: int, data: Any) -> None:
        os.fstat(file)  # raises if the file is not open
        if request == I2C_FUNCS:
            return
        assert request == I2C_RDWR
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        messages: list[Message] = []
        for message in data.msgs[: data.nmsgs]:
            if message.flags & I2C_M_RD:
                for n in range(message.len):
                    message.buf[n] = n % 256
                messages.append((message.addr, message.len))
            else:
                messages.append((message.addr, bytes(message)))
        self.transactions.append(messages)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """A kernel whose I²C chips always answer."""
    made = Kernel()
    monkeypatch.setattr("smbus2.smbus2.ioctl", made.ioctl)
    return made


@pytest.fixture
def address(tmp_path: Path) -> BusAddress:
    """A bus whose device file is there."""
    file = tmp_path / "i2c-1"
    file.touch()
    return BusAddress("i2c1", str(file))


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A LinuxBackend."""
    made = LinuxBackend(SystemClock())
    yield made
    made.close()


@pytest.fixture
def bus(backend: Backend, address: BusAddress, kernel: Kernel) -> I2CBus:
    """An open bus."""
    made = backend.i2c_bus(address)
    made.open()
    return made


def test_transactions(bus: I2CBus, kernel: Kernel) -> None:
    """Each call is one transaction, and a write and read are combined without a stop."""
    bus.write(0x76, b"\xf4\x27")
    assert bus.read(0x76, 2) == b"\x00\x01"
    assert bus.write_read(0x77, b"\x88", 3) == b"\x00\x01\x02"
    assert kernel.transactions == [
        [(0x76, b"\xf4\x27")],
        [(0x76, 2)],
        [(0x77, b"\x88"), (0x77, 3)],
    ]


def test_longest_message(bus: I2CBus) -> None:
    """8192 bytes pass whole."""
    assert len(bus.read(0x50, 8192)) == 8192


@pytest.mark.parametrize("code", [errno.EREMOTEIO, errno.ENXIO])
def test_nack(bus: I2CBus, kernel: Kernel, code: int) -> None:
    """No acknowledge is a NackError that names bus, file and address in hex."""
    kernel.error = code
    with pytest.raises(NackError, match=r"^i2c1 \(.*/i2c-1\), address 0x76: no acknowledge"):
        bus.read(0x76, 1)


@pytest.mark.parametrize("code", [errno.ETIMEDOUT, errno.EIO, errno.EAGAIN, errno.EOPNOTSUPP])
def test_bus_failure(bus: I2CBus, kernel: Kernel, code: int) -> None:
    """Any other failure of a transaction is broken, not a nack, and the bus can go on."""
    kernel.error = code
    with pytest.raises(BrokenError, match=rf"address 0x76: .*\({errno.errorcode[code]}\)") as seen:
        bus.write_read(0x76, b"\xd0", 1)
    assert not isinstance(seen.value, NackError)
    kernel.error = None
    assert bus.read(0x76, 1) == b"\x00"


def test_shared(backend: Backend, bus: I2CBus, address: BusAddress) -> None:
    """Devices share one bus: it is the same object and stays open until the last has closed."""
    assert backend.i2c_bus(address) is bus
    bus.open()
    bus.close()
    bus.read(0x76, 1)
    bus.close()
    with pytest.raises(ClosedError, match="i2c1: not open"):
        bus.read(0x76, 1)
    bus.close()
    bus.open()
    bus.read(0x76, 1)


def test_backend_close(backend: Backend, bus: I2CBus) -> None:
    """Closing the backend closes the bus however many use it."""
    bus.open()
    backend.close()
    with pytest.raises(ClosedError):
        bus.read(0x76, 1)


@pytest.mark.parametrize("wrong", [-1, 0x00, 0x07, 0x78, 0xEC])
def test_address_range(bus: I2CBus, kernel: Kernel, wrong: int) -> None:
    """An address outside 0x08 to 0x77 never reaches the bus."""
    with pytest.raises(InvalidValueError, match="no I²C address"):
        bus.write(wrong, b"\x00")
    assert kernel.transactions == []


def test_lengths(bus: I2CBus, kernel: Kernel) -> None:
    """Messages of 0 or more than 8192 bytes never reach the bus."""
    for length in (-1, 0, 8193):
        with pytest.raises(InvalidValueError, match=f"0x76: a read of {length} bytes"):
            bus.read(0x76, length)
        with pytest.raises(InvalidValueError, match=f"0x76: a read of {length} bytes"):
            bus.write_read(0x76, b"\x00", length)
    for data in (b"", bytes(8193)):
        with pytest.raises(InvalidValueError, match="a write of"):
            bus.write(0x76, data)
        with pytest.raises(InvalidValueError, match="a write of"):
            bus.write_read(0x76, data, 1)
    assert kernel.transactions == []


def test_missing_bus(backend: Backend) -> None:
    """A bus without a device file says how to enable it."""
    with pytest.raises(BrokenError, match=r"i2c9 \(/dev/i2c-none\): .*dtparam=i2c_arm=on"):
        backend.i2c_bus(BusAddress("i2c9", "/dev/i2c-none")).open()


def test_no_permission(
    backend: Backend, address: BusAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bus that must not be opened names the group that is needed."""

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("smbus2.smbus2.os.open", refuse)
    with pytest.raises(BrokenError, match="group i2c"):
        backend.i2c_bus(address).open()


def test_no_bus_file(backend: Backend, address: BusAddress) -> None:
    """A file that is no I²C bus is broken, and is closed again."""
    with pytest.raises(BrokenError, match="no I²C bus"):
        backend.i2c_bus(address).open()
