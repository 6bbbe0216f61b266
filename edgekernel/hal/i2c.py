"""The I²C bus, and the chip's side of it for simulation.

Addresses are 7-bit, 0x08 to 0x77 (UM10204, section 3.1.12), or 10-bit where a call says so.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class I2CBus(Protocol):
    """A bus that several devices share. Each call is one transaction, never interleaved.

    All calls raise ClosedError on a bus that is not open, NackError if nobody acknowledges the
    address or a byte, BrokenError for any other failure of the bus, and InvalidValueError for an
    address or a length that cannot be.

    Some adapters have SMBus calls only, such as those in a PC. They read or write one byte, or
    write a byte for a register and read or write up to 32 bytes of it; some have no more than two.
    For anything else they raise BrokenError.
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

    def transfer(
        self, address: int, *messages: bytes | int, ten_bit: bool = False
    ) -> tuple[bytes, ...]:
        """Carry out 1 to 42 messages as one transaction, with repeated starts between them.

        Bytes are written, a number reads that many; returns what was read, in order. `ten_bit`
        says that the address has 10 bits (0x000 to 0x3ff; UM10204, section 3.1.11).
        """
        ...

    def read_block(self, address: int, command: int) -> bytes:
        """Read an SMBus block: send a command byte, then read a length (1 to 32) and as many bytes
        (System Management Bus Specification 3.1, section 6.5.7)."""
        ...

    def write_block(self, address: int, command: int, data: bytes) -> None:
        """Write an SMBus block of 1 to 32 bytes: a command byte, the length, the bytes."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Keep the bus for several transactions of the same caller: nobody comes in between."""
        ...

    def scan(self) -> tuple[int, ...]:
        """Return the addresses that answer to a read of one byte, 0x08 to 0x77.

        Reading may move a chip on: ask only where nobody is at work.
        """
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
