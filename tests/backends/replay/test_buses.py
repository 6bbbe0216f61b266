"""Buses of a record: I²C with its health, SPI and 1-Wire."""

from __future__ import annotations

import pytest

from edgekernel.backends.recording import Transaction
from edgekernel.backends.replay import ReplayBackend
from edgekernel.core.errors import BrokenError
from edgekernel.hal.address import BusAddress, OneWireAddress, SpiAddress
from edgekernel.hal.health import BusState, HasHealth
from edgekernel.sim import SimClock
from tests.backends.replay.calls import I2C, SECOND, call, tape

BUS = BusAddress("i2c1", "/dev/i2c-1")
SPI, W1 = ("spi", "spi0.0"), ("onewire", "w1")


def health(at_s: float, state: str, attempt_s: float | None = None) -> Transaction:
    """Return a record of how the bus was."""
    attempt_ns = None if attempt_s is None else round(attempt_s * SECOND)
    gives = {"state": state, "reason": "", "errors": 1, "next_attempt_ns": attempt_ns}
    return call(I2C, at_s, "health", gives=gives | {"left_out": {}, "of_a_later_version": 1})


def test_transactions(clock: SimClock) -> None:
    """Every transaction of the protocol answers as it did."""
    made = tape(
        clock,
        call(I2C, 0, "open"),
        call(I2C, 0, "write_read", 0x76, b"\xd0", 1, gives=b"\x60"),
        call(I2C, 0, "transfer", 0x76, b"\x01", 2, gives=[b"ab"], ten_bit=False),
        call(I2C, 0, "read_block", 0x76, 5, gives=b"abc"),
        call(I2C, 0, "scan", gives=[0x76]),
    )
    backend = ReplayBackend(made)
    bus = backend.i2c_bus(BUS)
    assert backend.i2c_bus(BUS) is bus
    bus.open()
    with bus.held():
        assert bus.write_read(0x76, b"\xd0", 1) == b"\x60"
    assert bus.transfer(0x76, b"\x01", 2) == (b"ab",)
    assert bus.read_block(0x76, 5) == b"abc"
    assert bus.scan() == (0x76,)
    bus.write(0x76, b"\x01\x02")
    bus.write_block(0x76, 1, b"\x02")
    bus.close()
    assert made.unrecorded == []


def test_health(clock: SimClock) -> None:
    """The bus is as it was at each time; a try takes until something was known, and raises what
    it raised."""
    made = tape(
        clock,
        health(1, "open", 3),
        call(I2C, 4.5, "check", gives=BrokenError("i2c1: still stuck")),
        health(4.5, "open", 8),
        health(9, "closed"),
    )  # fmt: skip
    bus = ReplayBackend(made).i2c_bus(BUS)
    assert isinstance(bus, HasHealth)
    assert bus.health.state is BusState.CLOSED
    clock.advance(1)
    bus.check()
    assert (bus.health.state, bus.health.next_attempt_ns) == (BusState.OPEN, 3 * SECOND)
    clock.advance(2)
    with pytest.raises(BrokenError, match="still stuck"):
        bus.check()
    assert clock.monotonic_ns() == 4.5 * SECOND
    clock.advance(3.5)
    bus.check()
    assert clock.monotonic_ns() == 9 * SECOND
    assert bus.health.state is BusState.CLOSED


def test_a_time_that_has_come_is_not_asked_for_again(clock: SimClock) -> None:
    """A try that was due is told as due when the next thing was told of the bus, never as past:
    whoever polls at that time would poll for ever."""
    made = tape(clock, health(1, "open", 3), health(20, "closed"))
    bus = ReplayBackend(made).i2c_bus(BUS)
    clock.advance(5)
    assert bus.health.next_attempt_ns == 20 * SECOND
    clock.advance(16)
    assert bus.health.next_attempt_ns is None


def test_no_health(clock: SimClock) -> None:
    """What is no health is told."""
    bus = ReplayBackend(tape(clock, call(I2C, 0, "health", gives="fine"))).i2c_bus(BUS)
    with pytest.raises(BrokenError, match="a health of a bus that is none"):
        _ = bus.health


def test_spi(clock: SimClock) -> None:
    """A chip select answers what it answered; an unknown transfer of a chip that speaks fails."""
    made = tape(
        clock,
        call(SPI, 0, "transfer", b"\x01", gives=b"\x07"),
        call(SPI, 0, "transfer", b"\x02", gives=b"\x08"),
    )
    select = ReplayBackend(made).spi_device(SpiAddress("spi0.0", "/dev/spidev0.0"))
    select.open(1000)
    assert select.transfer(b"\x02") == b"\x08"
    with pytest.raises(BrokenError, match="never recorded"):
        select.transfer(b"\x03")
    select.close()


def test_a_display(clock: SimClock) -> None:
    """A chip that only listens takes other bytes as well."""
    made = tape(clock, call(SPI, 0, "transfer", b"abc", gives=bytes(3)))
    select = ReplayBackend(made).spi_device(SpiAddress("spi0.0", "/dev/spidev0.0"))
    assert select.transfer(b"other") == bytes(5)
    assert made.unrecorded == []


def test_onewire(clock: SimClock) -> None:
    """A 1-Wire bus finds and measures what it did."""
    made = tape(
        clock,
        call(W1, 0, "search", gives=["28-01"]),
        call(W1, 0.75, "measure", "28-01", gives=b"123456789", took_s=0.75),
    )
    backend = ReplayBackend(made)
    bus = backend.onewire_bus(OneWireAddress("w1"))
    assert backend.onewire_bus(OneWireAddress("w1")) is bus
    bus.open()
    assert bus.search() == ("28-01",)
    assert bus.measure("28-01") == b"123456789"
    assert clock.monotonic_ns() == 0.75 * SECOND
    bus.close()
    backend.close()
