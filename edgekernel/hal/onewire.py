"""The 1-Wire bus as far as temperature sensors need it, and the chip's side for simulation.

A chip is known by its ROM code, written as Linux does: family and serial number in hexadecimal,
such as "28-0316a2795bff", without the CRC.
"""

from __future__ import annotations

from typing import Protocol


class OneWireBus(Protocol):
    """A bus that several chips share. Each call is one transaction, never interleaved.

    All calls raise ClosedError on a bus that is not open, NackError if the chip does not answer,
    and BrokenError for any other failure of the bus.
    """

    @property
    def name(self) -> str:
        """The bus as people know it, such as "w1"."""
        ...

    def open(self) -> None:
        """Take the bus into use; every `open` needs its `close`."""
        ...

    def search(self) -> tuple[str, ...]:
        """Return the ROM codes of the chips that were found, sorted."""
        ...

    def measure(self, rom: str) -> bytes:
        """Let a chip convert its temperature, wait for it, and return its scratchpad.

        These are 9 bytes, the last of which is the CRC of the others: whether it is right is for
        the caller to find out. Takes as long as a conversion, up to 0.75 s.
        """
        ...

    def close(self) -> None:
        """Give the bus back; the last one closes it."""
        ...


class OneWireTarget(Protocol):
    """What a chip answers: how a simulated 1-Wire chip is written."""

    rom: str
    """Its ROM code, such as "28-0316a2795bff"."""

    def convert(self) -> float:
        """Begin a conversion; return how many seconds it takes."""
        ...

    def scratchpad(self) -> bytes:
        """Return the 9 bytes of the scratchpad, CRC included."""
        ...
