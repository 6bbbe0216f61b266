"""I²C buses of Linux whose adapter has SMBus calls only: real smbus2, and an adapter in place of
the kernel's ioctl that says what each call would be on the wire."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edgekernel_devices.lm75 import LM75Chip
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.backends.linux import LinuxBackend
from edgekernel.backends.linux.smbus_calls import call_for
from edgekernel.backends.shared_i2c import SharedI2CBus
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import BrokenError
from edgekernel.hal import I2CTarget
from edgekernel.hal.address import BusAddress

# Linux, include/uapi/linux/i2c-dev.h and i2c.h
I2C_SLAVE, I2C_FUNCS, I2C_SMBUS = 0x0703, 0x0705, 0x0720
I2C_SMBUS_READ = 1
BYTE, BYTE_DATA, WORD_DATA, BLOCK_DATA, I2C_BLOCK = 1, 2, 3, 5, 8
READS = {BYTE: 0x00020000, BYTE_DATA: 0x00080000, WORD_DATA: 0x00200000, I2C_BLOCK: 0x04000000}
WRITES = {
    BYTE: 0x00040000,
    BYTE_DATA: 0x00100000,
    WORD_DATA: 0x00400000,
    BLOCK_DATA: 0x02000000,
    I2C_BLOCK: 0x08000000,
}
ALL = sum(READS.values()) + sum(WRITES.values())
COMMON = ALL - READS[I2C_BLOCK] - WRITES[I2C_BLOCK] - WRITES[BLOCK_DATA]
"""Bytes and words, as most have."""


class Nobody:
    """Answers with 0, 1, 2, ..."""

    def write(self, data: bytes) -> None:
        pass

    def read(self, length: int) -> bytes:
        return bytes(range(length))


class Adapter:
    """Plays the ioctl of i2c-dev for an adapter that carries out no messages."""

    def __init__(self) -> None:
        self.functions = ALL
        self.chip: I2CTarget = Nobody()
        self.wire: list[bytes | int] = []
        """What went over the wire: writes and lengths of reads."""
        self.address = 0
        self.error: int | None = None

    def ioctl(self, file: int, request: int, data: Any) -> None:
        os.fstat(file)  # raises if the file is not open
        if request == I2C_FUNCS:
            data.value = self.functions
        elif request == I2C_SLAVE:
            self.address = data
        else:
            assert request == I2C_SMBUS, f"{request:#x}: the adapter cannot do this"
            if self.error is not None:
                raise OSError(self.error, os.strerror(self.error))
            self._call(data)

    def _call(self, data: Any) -> None:
        read = data.read_write == I2C_SMBUS_READ
        assert self.functions & (READS if read else WRITES)[data.size]
        content: Any = data.data.contents if data.data else None  # a byte that is written has none
        if read:
            if data.size != BYTE:
                self._write(bytes([data.command]))
            length = {BYTE: 1, BYTE_DATA: 1, WORD_DATA: 2}.get(data.size) or content.block[0]
            self.wire.append(length)
            answer = self.chip.read(length)
            if data.size == WORD_DATA:
                content.word = int.from_bytes(answer, "little")
            else:
                start = 1 if data.size == I2C_BLOCK else 0
                content.block[start : start + length] = list(answer)
        else:
            self._write(bytes([data.command, *self._written(data.size, content)]))

    def _written(self, size: int, content: Any) -> bytes:
        match size:
            case 1:
                return b""
            case 2:
                return bytes([content.byte])
            case 3:
                return int(content.word).to_bytes(2, "little")
            case 5:
                return bytes(content.block[: 1 + content.block[0]])
            case _:
                return bytes(content.block[1 : 1 + content.block[0]])

    def _write(self, data: bytes) -> None:
        self.wire.append(data)
        self.chip.write(data)


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Adapter:
    """An adapter with every SMBus call."""
    made = Adapter()
    monkeypatch.setattr("smbus2.smbus2.ioctl", made.ioctl)
    return made


@pytest.fixture
def bus(tmp_path: Path, adapter: Adapter) -> Iterator[SharedI2CBus]:
    """The open bus of that adapter."""
    file = tmp_path / "i2c-1"
    file.touch()
    backend = LinuxBackend(SystemClock())
    made = backend.i2c_bus(BusAddress("i2c1", str(file)))
    made.open()
    yield made
    backend.close()


def reopened(bus: SharedI2CBus) -> SharedI2CBus:
    """Return the bus after its adapter was asked anew for what it can."""
    bus.close()
    bus.open()
    return bus


BYTES = st.binary(min_size=1, max_size=35)
LENGTHS = st.integers(1, 35)
TRANSACTIONS = st.one_of(
    st.tuples(BYTES),
    st.tuples(LENGTHS),
    st.tuples(BYTES, LENGTHS),
    st.lists(st.one_of(BYTES, LENGTHS), min_size=2, max_size=4).map(tuple),
)


def test_the_same_on_the_wire(bus: SharedI2CBus, adapter: Adapter) -> None:
    """Whatever is asked for is on the wire as it was asked for, and comes back as it was read; or
    it is refused, and then nothing of it has reached the wire."""

    @given(TRANSACTIONS, st.sampled_from([ALL, COMMON, ALL & ~WRITES[WORD_DATA], 0]))
    def check(messages: tuple[bytes | int, ...], functions: int) -> None:
        adapter.functions, adapter.wire = functions, []
        reopened(bus)
        if call_for(messages, functions) is None:
            with pytest.raises(BrokenError, match="has SMBus calls only, and none for a"):
                bus.transfer(0x48, *messages)
            assert adapter.wire == []
            return
        read = bus.transfer(0x48, *messages)
        assert adapter.wire == list(messages)
        assert read == tuple(bytes(range(n)) for n in messages if isinstance(n, int))
        assert adapter.address == 0x48

    check()


HAS = [
    ((1,), COMMON),
    ((b"\x01",), COMMON),
    ((b"\x01\x02",), COMMON),
    ((b"\x01\x02\x03",), COMMON),
    ((b"\x01", 1), COMMON),
    ((b"\x01", 2), COMMON),
    ((b"\x01", 2), READS[I2C_BLOCK]),
    ((b"\x01", 32), ALL),
    ((b"\x01" + bytes(32),), ALL),
    ((b"\x01\x20" + bytes(32),), ALL),
    ((b"\x01\x02\x03\x04",), WRITES[BLOCK_DATA]),
]
HAS_NOT = [
    ((2,), ALL),
    ((b"\x01\x02", 1), ALL),
    ((b"\x01", 33), ALL),
    ((b"\x01" + bytes(33),), ALL),
    ((b"\x01", b"\x02"), ALL),
    ((b"\x01", 3), COMMON),
    ((b"\x01\x01\x03\x04",), WRITES[BLOCK_DATA]),
    ((b"\x01", 1), 0),
]


@pytest.mark.parametrize(
    ("messages", "functions", "there"),
    [(*each, True) for each in HAS] + [(*each, False) for each in HAS_NOT],
)
def test_what_there_is_a_call_for(
    messages: tuple[bytes | int, ...], functions: int, there: bool
) -> None:
    """Registers of one and two bytes are read and written by every adapter, longer ones by those
    with blocks; the address of a register is one byte."""
    assert (call_for(messages, functions) is not None) is there


def test_a_driver(bus: SharedI2CBus, adapter: Adapter) -> None:
    """The bytes of a word are in the order of the wire, as a chip with its high byte first has
    them."""
    adapter.functions = COMMON
    chip = adapter.chip = LM75Chip()
    chip.temperature_c = -12.5
    reopened(bus)
    assert bus.write_read(0x48, b"\x00", 2) == b"\xf3\x80"
    bus.write(0x48, b"\x03\x7d\x00")
    assert bus.write_read(0x48, b"\x03", 2) == b"\x7d\x00"
    bus.write(0x48, b"\x01\x60")
    assert bus.write_read(0x48, b"\x01", 1) == b"\x60"


def test_a_kernel_driver_has_the_address(bus: SharedI2CBus, adapter: Adapter) -> None:
    """An address that a driver of the kernel has is told as such."""
    adapter.error = errno.EBUSY
    with pytest.raises(BrokenError, match="or a driver of the kernel uses this address"):
        bus.write_read(0x48, b"\x00", 2)
