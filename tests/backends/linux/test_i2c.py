"""I²C buses of Linux: real smbus2, with the kernel's ioctl played by a recording stand-in."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekernel.backends.linux import LinuxBackend
from edgekernel.backends.shared_i2c import SharedI2CBus
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import BrokenError, ClosedError, InvalidValueError, NackError
from edgekernel.hal import I2CBus
from edgekernel.hal.address import BusAddress

# Linux, include/uapi/linux/i2c-dev.h and i2c.h
I2C_SLAVE, I2C_FUNCS, I2C_RDWR, I2C_SMBUS = 0x0703, 0x0705, 0x0707, 0x0720
I2C_M_RD, I2C_M_TEN, I2C_M_RECV_LEN = 0x0001, 0x0010, 0x0400
I2C_FUNC_I2C, I2C_FUNC_10BIT_ADDR, I2C_FUNC_SMBUS_READ_BLOCK_DATA = 0x1, 0x2, 0x01000000
I2C_SMBUS_BLOCK_DATA = 5

Message = tuple[int, bytes | int]
"""Address, and what was written or how many bytes were read."""


class Kernel:
    """Plays the ioctl of i2c-dev: every read is answered with 0, 1, 2, ... 255, 0, ...

    A START byte (a read from address 0) is not acknowledged while the bus works.
    """

    def __init__(self) -> None:
        self.transactions: list[list[Message]] = []
        self.error: int | None = None
        self.stuck: int | None = None
        """The error of every transaction, also of a START byte."""
        self.functions = I2C_FUNC_I2C
        self.block = b"\x03abc"
        """What an adapter that knows blocks reads."""
        self.flags: list[int] = []
        self.opened: list[int] = []

    def ioctl(self, file: int, request: int, data: Any) -> None:
        os.fstat(file)  # raises if the file is not open
        if request == I2C_FUNCS:
            self.opened.append(file)
            data.value = self.functions
            return
        if request == I2C_SLAVE:
            return
        if request == I2C_SMBUS:
            assert data.size == I2C_SMBUS_BLOCK_DATA
            data.data.contents.block[: len(self.block)] = list(self.block)
            return
        assert request == I2C_RDWR
        start_byte = data.nmsgs == 1 and data.msgs[0].addr == 0
        error = self.stuck or (errno.ENXIO if start_byte else self.error)
        if error is not None:
            raise OSError(error, os.strerror(error))
        if self._reads_block(data):
            return
        self.flags += [message.flags for message in data.msgs[: data.nmsgs]]
        messages: list[Message] = []
        for message in data.msgs[: data.nmsgs]:
            if message.flags & I2C_M_RD:
                for n in range(message.len):
                    message.buf[n] = n % 256
                messages.append((message.addr, message.len))
            else:
                messages.append((message.addr, bytes(message)))
        self.transactions.append(messages)

    def _reads_block(self, data: Any) -> bool:
        """Play what i2c-dev does with a message whose length comes from the chip."""
        last = data.msgs[data.nmsgs - 1]
        if not last.flags & I2C_M_RECV_LEN:
            return False
        extra = ord(last.buf[0])
        if not (last.flags & I2C_M_RD and extra >= 1 and last.len >= extra + 32):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        for n, byte in enumerate(self.block):
            last.buf[n] = byte
        return True


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
def backend() -> Iterator[LinuxBackend]:
    """A LinuxBackend."""
    made = LinuxBackend(SystemClock())
    yield made
    made.close()


@pytest.fixture
def bus(backend: LinuxBackend, address: BusAddress, kernel: Kernel) -> SharedI2CBus:
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


FAULTS = [errno.ETIMEDOUT, errno.EIO, errno.EAGAIN, errno.EBUSY, errno.ENODEV]


@pytest.mark.parametrize("code", [*FAULTS, errno.EOPNOTSUPP])
def test_bus_failure(bus: I2CBus, kernel: Kernel, code: int) -> None:
    """Any other failure of a transaction is broken, not a nack, and the bus can go on."""
    kernel.error = code
    with pytest.raises(BrokenError, match=rf"address 0x76: .*\({errno.errorcode[code]}\)") as seen:
        bus.write_read(0x76, b"\xd0", 1)
    assert not isinstance(seen.value, NackError)
    kernel.error = None
    assert bus.read(0x76, 1) == b"\x00"


@pytest.mark.parametrize("code", FAULTS)
def test_recovery(bus: SharedI2CBus, kernel: Kernel, code: int) -> None:
    """After a fault the device file is opened anew; what the adapter refuses is no fault."""
    for error, opened in ((code, 2), (errno.EOPNOTSUPP, 2), (errno.ENXIO, 2)):
        kernel.error = error
        with pytest.raises(BrokenError):
            bus.read(0x76, 1)
        assert len(kernel.opened) == opened
    assert bus.health.recoveries == 1
    assert (bus.health.transactions, bus.health.errors, bus.health.nacks) == (3, 2, 1)


@pytest.mark.parametrize("code", FAULTS)
def test_stuck_bus(bus: SharedI2CBus, kernel: Kernel, code: int) -> None:
    """A bus that takes no START byte is out of use, says why, and no transaction reaches it."""
    kernel.stuck = code
    with pytest.raises(BrokenError, match="address 0x76"):
        bus.read(0x76, 1)
    kernel.stuck = None
    with pytest.raises(BrokenError, match=rf"^i2c1: out of use since .*{errno.errorcode[code]}"):
        bus.read(0x50, 1)
    assert kernel.transactions == []
    assert bus.health.state == "open"


def test_device_file_has_gone(bus: SharedI2CBus, kernel: Kernel, address: BusAddress) -> None:
    """An adapter that is pulled out is said to be missing; it is not busy afterwards."""
    os.unlink(address.device)
    kernel.stuck = errno.ENODEV
    with pytest.raises(BrokenError, match=r"\(ENODEV\)"):
        bus.read(0x76, 1)
    with pytest.raises(BrokenError, match=r"out of use .*the bus is not enabled"):
        bus.read(0x76, 1)


def test_several_messages(bus: I2CBus, kernel: Kernel) -> None:
    """Writes and reads in any order are one transaction, and what was read comes back in order."""
    assert bus.transfer(0x50, b"\x01", 2, b"\x02\x03", 1) == (b"\x00\x01", b"\x00")
    assert kernel.transactions == [[(0x50, b"\x01"), (0x50, 2), (0x50, b"\x02\x03"), (0x50, 1)]]
    assert bus.transfer(0x50, *[1] * 42) == (b"\x00",) * 42
    for wrong in ((), (1,) * 43):
        with pytest.raises(InvalidValueError, match=f"of {len(wrong)} messages"):
            bus.transfer(0x50, *wrong)


def test_adapter_of_few_messages(bus: I2CBus, kernel: Kernel) -> None:
    """Where an adapter cannot carry messages out as one transaction, that is said."""
    kernel.error = errno.EOPNOTSUPP
    with pytest.raises(BrokenError, match="cannot carry out these messages as one transaction"):
        bus.transfer(0x50, 1, b"\x01")


def test_ten_bit_address(backend: LinuxBackend, address: BusAddress, kernel: Kernel) -> None:
    """An address of 10 bits is marked as one, if the adapter can; else it is refused."""
    kernel.functions |= I2C_FUNC_10BIT_ADDR
    bus = backend.i2c_bus(address)
    bus.open()
    bus.transfer(0x276, b"\x00", 1, ten_bit=True)
    assert kernel.flags == [I2C_M_TEN, I2C_M_TEN | I2C_M_RD]
    with pytest.raises(InvalidValueError, match="0x400 is no I²C address of 10 bits"):
        bus.transfer(0x400, 1, ten_bit=True)
    bus.close()
    kernel.functions = I2C_FUNC_I2C
    bus.open()
    with pytest.raises(BrokenError, match="0x276: the adapter cannot do this"):
        bus.transfer(0x276, 1, ten_bit=True)


@pytest.mark.parametrize(
    "functions",
    [I2C_FUNC_I2C | I2C_FUNC_SMBUS_READ_BLOCK_DATA, I2C_FUNC_SMBUS_READ_BLOCK_DATA],
    ids=["i2c", "smbus"],
)
def test_read_block(
    backend: LinuxBackend, address: BusAddress, kernel: Kernel, functions: int
) -> None:
    """An adapter that knows blocks takes the length from the chip, by message or SMBus call."""
    kernel.functions = functions
    bus = backend.i2c_bus(address)
    bus.open()
    assert bus.read_block(0x0B, 0x20) == b"abc"
    kernel.block = b"\x21" + bytes(32)
    with pytest.raises(BrokenError, match="0x0b: the chip announces a block of 33 bytes"):
        bus.read_block(0x0B, 0x20)


def test_read_block_of_a_plain_adapter(bus: I2CBus, kernel: Kernel) -> None:
    """An adapter that knows no blocks reads the longest one, of which the chip's length counts."""
    with pytest.raises(BrokenError, match="block of 0 bytes for command 0x20"):
        bus.read_block(0x0B, 0x20)
    assert kernel.transactions == [[(0x0B, b"\x20"), (0x0B, 33)]]


def test_write_block(bus: I2CBus, kernel: Kernel) -> None:
    """A block is written as command, length and bytes; others than 1 to 32 bytes are refused."""
    bus.write_block(0x0B, 0x20, b"abc")
    assert kernel.transactions == [[(0x0B, b"\x20\x03abc")]]
    for data in (b"", bytes(33)):
        with pytest.raises(InvalidValueError, match=f"a block of {len(data)} bytes"):
            bus.write_block(0x0B, 0x20, data)


def test_shared(backend: LinuxBackend, bus: I2CBus, address: BusAddress) -> None:
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


def test_backend_close(backend: LinuxBackend, bus: I2CBus) -> None:
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


def test_missing_bus(backend: LinuxBackend) -> None:
    """A bus without a device file says how to enable it."""
    with pytest.raises(BrokenError, match=r"i2c9 \(/dev/i2c-none\): .*dtparam=i2c_arm=on"):
        backend.i2c_bus(BusAddress("i2c9", "/dev/i2c-none")).open()


def test_no_permission(
    backend: LinuxBackend, address: BusAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bus that must not be opened names the group that is needed."""

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("smbus2.smbus2.os.open", refuse)
    with pytest.raises(BrokenError, match="group i2c"):
        backend.i2c_bus(address).open()


def test_no_bus_file(backend: LinuxBackend, address: BusAddress) -> None:
    """A file that is no I²C bus is broken, and is closed again."""
    with pytest.raises(BrokenError, match="no I²C bus"):
        backend.i2c_bus(address).open()
