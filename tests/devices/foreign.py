"""What lets a driver of others use our bus: busio.I2C of CircuitPython, on an I2CBus."""

from __future__ import annotations

from collections.abc import Collection

from edgekernel.hal import I2CBus


class CircuitPythonI2C:
    """The methods of busio.I2C (CircuitPython's documentation, module busio) on one of our buses.

    An empty write, by which drivers ask whether anybody is there, is no transaction of ours: it
    is acknowledged at the addresses that are given.
    """

    def __init__(self, bus: I2CBus, present: Collection[int]) -> None:
        self._bus = bus
        self._present = frozenset(present)
        self._locked = False

    def try_lock(self) -> bool:
        """Take the lock, if nobody has it."""
        taken = not self._locked
        self._locked = True
        return taken

    def unlock(self) -> None:
        """Give the lock back."""
        self._locked = False

    def scan(self) -> list[int]:
        """Return the addresses at which somebody answers."""
        return sorted(self._present)

    def writeto(
        self, address: int, buffer: bytes, *, start: int = 0, end: int | None = None
    ) -> None:
        """Write a part of a buffer."""
        self._check_locked()
        data = bytes(buffer[start:end])
        if data:
            self._bus.write(address, data)
        elif address not in self._present:
            raise OSError(f"nobody at {address:#04x}")

    def readfrom_into(
        self, address: int, buffer: bytearray, *, start: int = 0, end: int | None = None
    ) -> None:
        """Fill a part of a buffer."""
        self._check_locked()
        part = range(*slice(start, end).indices(len(buffer)))
        buffer[part.start : part.stop] = self._bus.read(address, len(part))

    def writeto_then_readfrom(
        self,
        address: int,
        out_buffer: bytes,
        in_buffer: bytearray,
        *,
        out_start: int = 0,
        out_end: int | None = None,
        in_start: int = 0,
        in_end: int | None = None,
    ) -> None:
        """Write a part of one buffer and fill a part of another, without a stop in between."""
        self._check_locked()
        part = range(*slice(in_start, in_end).indices(len(in_buffer)))
        data = bytes(out_buffer[out_start:out_end])
        in_buffer[part.start : part.stop] = self._bus.write_read(address, data, len(part))

    def _check_locked(self) -> None:
        if not self._locked:
            raise RuntimeError("the driver uses the bus without its lock")
