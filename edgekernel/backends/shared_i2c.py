"""An I²C bus that several devices share: counting, locking and checking, for every backend."""

from __future__ import annotations

from typing import Protocol

from edgekernel.core.clock import Clock
from edgekernel.core.errors import ClosedError, InvalidValueError

_FIRST, _LAST = 0x08, 0x77
"""The 7-bit addresses that are not reserved (UM10204, section 3.1.12)."""

_LONGEST = 8192
"""Bytes in one message (Linux, drivers/i2c/i2c-dev.c)."""


class Wire(Protocol):
    """The bus below the counting: what a backend has to bring."""

    def open(self) -> None:
        """Take the bus into use. Raises BrokenError."""
        ...

    def transfer(self, address: int, data: bytes, length: int) -> bytes:
        """Write `data` if there is any, then read `length` bytes if not 0, as one transaction.

        Raises NackError, BrokenError.
        """
        ...

    def close(self) -> None:
        """Give the bus back."""
        ...


class SharedI2CBus:
    """An I2CBus on a wire, with one transaction at a time."""

    def __init__(self, name: str, wire: Wire, clock: Clock) -> None:
        self._name = name
        self._wire = wire
        self._lock = clock.Lock()
        self._users = 0

    @property
    def name(self) -> str:
        """The bus as people know it, such as "i2c1"."""
        return self._name

    def open(self) -> None:
        """Take the bus into use; every `open` needs its `close`. Raises BrokenError."""
        with self._lock:
            if self._users == 0:
                self._wire.open()
            self._users += 1

    def read(self, address: int, length: int) -> bytes:
        """Read `length` bytes (1 to 8192)."""
        self._check_length("read", address, length)
        return self._transfer(address, b"", length)

    def write(self, address: int, data: bytes) -> None:
        """Write bytes (1 to 8192)."""
        self._check_length("write", address, len(data))
        self._transfer(address, data, 0)

    def write_read(self, address: int, data: bytes, length: int) -> bytes:
        """Write, then read after a repeated start, without a stop in between."""
        self._check_length("write", address, len(data))
        self._check_length("read", address, length)
        return self._transfer(address, data, length)

    def close(self) -> None:
        """Give the bus back; the last one closes it. One `close` too many is harmless."""
        with self._lock:
            last = self._users == 1
            self._users = max(0, self._users - 1)
            if last:
                self._wire.close()

    def close_for_all(self) -> None:
        """Close the bus however many use it; every later call raises ClosedError."""
        with self._lock:
            if self._users:
                self._users = 0
                self._wire.close()

    def _transfer(self, address: int, data: bytes, length: int) -> bytes:
        check_address(self._name, address)
        with self._lock:
            if self._users == 0:
                raise ClosedError(f"{self._name}: not open; open it first")
            return self._wire.transfer(address, data, length)

    def _check_length(self, what: str, address: int, length: int) -> None:
        if not 1 <= length <= _LONGEST:
            raise InvalidValueError(
                f"{self._name}, 0x{address:02x}: a {what} of {length} bytes; "
                f"a message has 1 to {_LONGEST}"
            )


def check_address(bus: str, address: int) -> None:
    """Raise InvalidValueError unless `address` is one that a chip can have."""
    if not _FIRST <= address <= _LAST:
        raise InvalidValueError(
            f"{bus}: 0x{address:02x} is no I²C address; they go from 0x{_FIRST:02x} "
            f"to 0x{_LAST:02x}, without the read/write bit"
        )
