"""Simulated I²C buses: chips at addresses, bytes in between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.backends.sim import SimBackend
from edgekernel.core.clock import Clock, SystemClock
from edgekernel.core.errors import BusyError, ClosedError, InvalidValueError, NackError
from edgekernel.hal.address import BusAddress
from edgekernel.sim.clock import SimClock

I2C1 = BusAddress("i2c1", "/dev/i2c-1")


class Memory:
    """A chip of 256 registers with an address pointer, like an AT24C02."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.registers = bytearray(256)
        self.log: list[str] = []
        self._pointer = 0
        self._clock = clock

    def write(self, data: bytes) -> None:
        self.log.append("write")
        self._pointer = data[0]
        for byte in data[1:]:
            self.registers[self._pointer] = byte
            self._pointer = (self._pointer + 1) % 256

    def read(self, length: int) -> bytes:
        if self._clock is not None:
            self._clock.sleep(0.001)
        self.log.append("read")
        twice = self.registers * 2
        return bytes(twice[self._pointer : self._pointer + length])


class Refusing:
    """A chip that acknowledges its address and no byte."""

    def write(self, data: bytes) -> None:
        raise NackError("no byte is welcome")

    def read(self, length: int) -> bytes:
        return bytes(length - 1)


@given(start=st.integers(0, 255), data=st.binary(min_size=1, max_size=256))
def test_bytes_pass(start: int, data: bytes) -> None:
    """What is written to a chip can be read back, byte by byte, at any place and length."""
    bus = SimBackend(SystemClock()).i2c_bus(I2C1)
    bus.plug(0x50, Memory())
    bus.open()
    bus.write(0x50, bytes([start]) + data)
    assert bus.write_read(0x50, bytes([start]), len(data)) == data
    bus.write(0x50, bytes([start]))
    assert bus.read(0x50, len(data)) == data
    bus.close()


def test_nobody_answers(backend: SimBackend) -> None:
    """An address without a chip is not acknowledged, also after its chip was unplugged."""
    bus = backend.i2c_bus(I2C1)
    bus.open()
    with pytest.raises(NackError, match=r"^i2c1, address 0x50: no acknowledge"):
        bus.read(0x50, 1)
    bus.plug(0x50, Memory())
    assert bus.read(0x50, 1) == b"\x00"
    bus.unplug(0x50)
    bus.unplug(0x50)
    with pytest.raises(NackError):
        bus.write(0x50, b"\x00")


def test_chip_refuses(backend: SimBackend) -> None:
    """A byte that the chip refuses is a NackError that names bus and address."""
    bus = backend.i2c_bus(I2C1)
    bus.plug(0x20, Refusing())
    bus.open()
    with pytest.raises(NackError, match=r"i2c1, address 0x20: .*no byte is welcome"):
        bus.write_read(0x20, b"\x00", 1)


def test_wrong_length(backend: SimBackend) -> None:
    """A simulated chip that answers another length than was asked for is found out."""
    bus = backend.i2c_bus(I2C1)
    bus.plug(0x20, Refusing())
    bus.open()
    with pytest.raises(InvalidValueError, match="Refusing answered 3 bytes to a read of 4"):
        bus.read(0x20, 4)


def test_several_messages(backend: SimBackend) -> None:
    """Writes and reads in any order are one transaction, and what was read comes back in order."""
    bus = backend.i2c_bus(I2C1)
    bus.plug(0x50, Memory())
    bus.open()
    bus.write(0x50, b"\x00abcdef")
    assert bus.transfer(0x50, b"\x01", 2, b"\x04", 1) == (b"bc", b"e")
    assert bus.health.transactions == 2


def test_ten_bit_addresses(backend: SimBackend) -> None:
    """An address of 10 bits and one of 7 are different chips, whatever their numbers."""
    bus = backend.i2c_bus(I2C1)
    bus.plug(0x50, Memory(), ten_bit=True)
    bus.plug(0x3FF, Memory(), ten_bit=True)
    bus.open()
    assert bus.transfer(0x50, b"\x00", 1, ten_bit=True) == (b"\x00",)
    with pytest.raises(NackError):
        bus.read(0x50, 1)
    with pytest.raises(BusyError, match=r"i2c1, address 0x3ff \(10 bits\): Memory"):
        bus.plug(0x3FF, Memory(), ten_bit=True)
    bus.unplug(0x3FF, ten_bit=True)
    with pytest.raises(NackError):
        bus.transfer(0x3FF, 1, ten_bit=True)


class Battery:
    """A chip that answers every command with an SMBus block, and then with ones as a bus does."""

    def __init__(self) -> None:
        self.block = b""

    def write(self, data: bytes) -> None:
        if len(data) > 1:
            self.block = data[2 : 2 + data[1]]

    def read(self, length: int) -> bytes:
        return (bytes([len(self.block)]) + self.block).ljust(length, b"\xff")


@given(st.binary(min_size=1, max_size=32))
def test_blocks(data: bytes) -> None:
    """An SMBus block comes back as it was written, whatever follows it on the bus."""
    bus = SimBackend(SystemClock()).i2c_bus(I2C1)
    bus.plug(0x0B, Battery())
    bus.open()
    bus.write_block(0x0B, 0x20, data)
    assert bus.read_block(0x0B, 0x20) == data
    bus.close()


def test_plug_twice(backend: SimBackend) -> None:
    """An address has one chip, and it must be an address."""
    bus = backend.bus("i2c1")
    bus.plug(0x50, Memory())
    with pytest.raises(BusyError, match="i2c1, address 0x50: Memory is plugged in"):
        bus.plug(0x50, Memory())
    with pytest.raises(InvalidValueError, match="0x78"):
        bus.plug(0x78, Memory())


def test_shared(backend: SimBackend) -> None:
    """A bus is one object by name, and stays open until the last of its users has closed."""
    bus = backend.i2c_bus(I2C1)
    assert bus is backend.bus("i2c1")
    bus.plug(0x50, Memory())
    with pytest.raises(ClosedError, match="i2c1: not open"):
        bus.read(0x50, 1)
    bus.open()
    bus.open()
    bus.close()
    assert bus.read(0x50, 1) == b"\x00"
    bus.close()
    bus.close()
    with pytest.raises(ClosedError):
        bus.read(0x50, 1)


def test_transactions_do_not_mix(backend: SimBackend, clock: SimClock) -> None:
    """While a chip holds up the bus, a transaction of somebody else waits for its end."""
    bus = backend.i2c_bus(I2C1)
    memory = Memory(clock)
    bus.plug(0x50, memory)
    bus.open()
    threads = [clock.Thread(lambda: bus.write_read(0x50, b"\x00", 1), str(n)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory.log == ["write", "read"] * 3
    assert clock.monotonic_ns() == 3_000_000


def test_backend_close(backend: SimBackend) -> None:
    """Closing the backend closes the bus however many use it; chips stay plugged in."""
    bus = backend.i2c_bus(I2C1)
    bus.plug(0x50, Memory())
    bus.open()
    bus.open()
    backend.close()
    with pytest.raises(ClosedError):
        bus.read(0x50, 1)
    bus.open()
    assert bus.read(0x50, 1) == b"\x00"
