"""The I²C bus, and the chip's side of it for simulation. Addresses are 7-bit, 0x08 to 0x77."""

from __future__ import annotations

from typing import Protocol


class I2CBus(Protocol):
    """A bus that several devices share. Each call is one transaction, never interleaved.

    All calls raise ClosedError on a bus that is not open, NackError if nobody acknowledges the
    address or a byte, and BrokenError for any other failure of the bus.
    """

    @property
    def name(self) -> str:
        """The bus as people know it, such as "i2c1"."""
        ...

    def open(self) -> None:
        """Take the bus into use; every `open` needs its `close`."""
        ...

    def read(self, address: int, length: int) -> bytes:
        """Read `length` bytes (1 to 8192)."""
        ...

    def write(self, address: int, data: bytes) -> None:
        """Write bytes (1 to 8192)."""
        ...

    def write_read(self, address: int, data: bytes, length: int) -> bytes:
        """Write, then read after a repeated start, without a stop in between."""
        ...

    def close(self) -> None:
        """Give the bus back; the last one closes it."""
        ...


class I2CTarget(Protocol):
    """What a chip answers on a bus: how a simulated chip is written."""

    def write(self, data: bytes) -> None:
        """Take the bytes of one write; raise NackError to refuse them."""
        ...

    def read(self, length: int) -> bytes:
        """Answer a read of `length` bytes from the present register pointer."""
        ...
