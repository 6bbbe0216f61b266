"""Simulated SPI: chips that speak bytes."""

from __future__ import annotations

import pytest

from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import BusyError, ClosedError, InvalidValueError
from edgekernel.hal.address import SpiAddress

SELECT = SpiAddress("spi0.0", "/dev/spidev0.0")


class Echo:
    """A chip that shifts out what it got, without the last byte."""

    def __init__(self, first: bytes = b"\x00") -> None:
        self._first = first

    def transfer(self, data: bytes) -> bytes:
        return self._first + data[:-1]


def test_transfer(backend: SimBackend) -> None:
    """The plugged chip answers each transfer; without one every bit is 0."""
    select = backend.spi_device(SELECT)
    select.open(1_000_000)
    assert select.transfer(b"\x01\x02") == b"\x00\x00"
    backend.spi("spi0.0").plug(Echo(b"\xaa"))
    assert select.transfer(b"\x01\x02") == b"\xaa\x01"
    backend.spi("spi0.0").unplug()
    assert select.transfer(b"\x01\x02") == b"\x00\x00"


def test_one_user(backend: SimBackend) -> None:
    """A chip select that somebody has is busy; who has it not cannot use or close it."""
    first, second = backend.spi_device(SELECT), backend.spi_device(SELECT)
    first.open(1000)
    with pytest.raises(BusyError, match=r"spi0\.0"):
        second.open(1000)
    second.close()
    with pytest.raises(ClosedError, match=r"spi0\.0"):
        second.transfer(b"x")
    assert first.transfer(b"x") == b"\x00"
    backend.close()
    with pytest.raises(ClosedError):
        first.transfer(b"x")
    second.open(1000)


def test_invalid(backend: SimBackend) -> None:
    """Settings and lengths that cannot be are refused, as is a chip that answers too little."""
    select = backend.spi_device(SELECT)
    for speed_hz, mode in ((0, 0), (1000, 4)):
        with pytest.raises(InvalidValueError, match=r"spi0\.0"):
            select.open(speed_hz, mode=mode)
    select.open(1000, mode=3, lsb_first=True)
    for length in (0, 4097):
        with pytest.raises(InvalidValueError, match=f"{length} bytes"):
            select.transfer(bytes(length))
    backend.spi("spi0.0").plug(Echo(b""))
    with pytest.raises(InvalidValueError, match="Echo answered 1 bytes to 2"):
        select.transfer(b"ab")
