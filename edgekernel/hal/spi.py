"""SPI: one chip behind one chip select, and the chip's side of it for simulation."""

from __future__ import annotations

from typing import Protocol


class SpiDevice(Protocol):
    """A chip on an SPI bus. Made closed. Each transfer is one transaction, chip select included.

    All calls raise ClosedError before `open` and after `close`, and BrokenError if the bus fails.
    """

    @property
    def name(self) -> str:
        """The chip select as people know it, such as "spi0.0"."""
        ...

    def open(self, speed_hz: int, *, mode: int = 0, lsb_first: bool = False) -> None:
        """Take it into use with a clock of at most `speed_hz` and 8 bits a word.

        `mode` 0 to 3 is clock polarity times 2 plus clock phase. Raises BusyError if another
        owner has it, BrokenError if it is not there, InvalidValueError for settings that it
        cannot have.
        """
        ...

    def transfer(self, data: bytes) -> bytes:
        """Send bytes (1 to 4096) and return as many, received at the same time."""
        ...

    def close(self) -> None:
        """Give it back. Closing twice is harmless."""
        ...


class SpiTarget(Protocol):
    """What a chip answers: how a simulated SPI chip is written."""

    def transfer(self, data: bytes) -> bytes:
        """Take the bytes of one transaction and return as many, clocked out at the same time."""
        ...
