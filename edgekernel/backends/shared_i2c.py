"""An I²C bus that several devices share: counting, locking and checking, for every backend."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeVar

from edgekernel.backends.bus_lock import BusLock
from edgekernel.backends.i2c_guard import Guard, Probed
from edgekernel.backends.recovery import Recovery
from edgekernel.core.clock import Clock
from edgekernel.core.errors import BrokenError, ClosedError, InvalidValueError
from edgekernel.hal.health import BusHealth

T = TypeVar("T")

_FIRST, _LAST = 0x08, 0x77
"""The 7-bit addresses that are not reserved (UM10204, section 3.1.12)."""

_LAST_TEN_BIT = 0x3FF

_LONGEST = 8192
"""Bytes in one message (Linux, drivers/i2c/i2c-dev.c)."""

_MOST = 42
"""Messages in one transaction (I2C_RDWR_IOCTL_MAX_MSGS; Linux, include/uapi/linux/i2c-dev.h)."""

BLOCK = 32
"""Bytes in the longest SMBus block (SMBus 2.0; Linux, include/uapi/linux/i2c.h)."""


class Wire(Probed, Protocol):
    """The bus below the counting: what a backend has to bring."""

    def transfer(
        self, address: int, messages: Sequence[bytes | int], ten_bit: bool
    ) -> tuple[bytes, ...]:
        """Carry out writes (bytes) and reads (lengths) as one transaction; return what was read.

        Raises NackError, StuckError, BrokenError.
        """
        ...

    def read_block(self, address: int, command: int) -> bytes:
        """Send a command byte and read; return the length byte and at least as many bytes more.

        Raises as `transfer`.
        """
        ...


class SharedI2CBus:
    """An I2CBus on a wire, with one transaction at a time and a breaker before it.

    When a transaction gives no answer in time, the bus is opened anew. If it is still stuck then,
    it is out of use for a while: every call raises BrokenError at once, with the reason. If the bus
    works, and the same address has this three times in a row, that address is left out for a while.
    """

    def __init__(self, name: str, wire: Wire, clock: Clock) -> None:
        self._name = name
        self._wire = wire
        self._guard = Guard(name, wire, clock)
        self._lock = BusLock(clock)
        self._count = threading.Lock()  # around `_users`; nobody waits inside
        self._users = 0
        self._wire_is_open = False

    @property
    def name(self) -> str:
        """The bus as people know it, such as "i2c1"."""
        return self._name

    @property
    def users(self) -> int:
        """How many have opened it and not closed it."""
        return self._users

    @property
    def health(self) -> BusHealth:
        """How the bus is now; never waits for a transaction that goes on."""
        return self._guard.health

    def use_recovery(self, recovery: Recovery | None) -> None:
        """Try this when the bus is stuck and opening it anew did not help."""
        self._guard.recovery = recovery

    def check(self) -> None:
        """Try a bus that is out of use again if its time has come.

        Raises BrokenError, with the reason, while it is out of use.
        """
        with self.held():
            self._check_open()
            self._guard.check()

    def open(self) -> None:
        """Take the bus into use; every `open` needs its `close`. Raises BrokenError."""
        with self.held():
            if not self._wire_is_open:
                self._wire.open()
                self._wire_is_open = True
            with self._count:
                self._users += 1

    def read(self, address: int, length: int) -> bytes:
        """Read `length` bytes (1 to 8192)."""
        return self.transfer(address, length)[0]

    def write(self, address: int, data: bytes) -> None:
        """Write bytes (1 to 8192)."""
        self.transfer(address, data)

    def write_read(self, address: int, data: bytes, length: int) -> bytes:
        """Write, then read after a repeated start, without a stop in between."""
        return self.transfer(address, data, length)[0]

    def transfer(
        self, address: int, *messages: bytes | int, ten_bit: bool = False
    ) -> tuple[bytes, ...]:
        """Carry out 1 to 42 messages as one transaction, with repeated starts between them."""
        label = check_address(self._name, address, ten_bit=ten_bit)
        if not 1 <= len(messages) <= _MOST:
            raise InvalidValueError(
                f"{self._name}, {label}: a transaction of {len(messages)} messages; "
                f"it has 1 to {_MOST}"
            )
        for message in messages:
            self._check_length(label, message)
        return self._carry_out(label, partial(self._wire.transfer, address, messages, ten_bit))

    def read_block(self, address: int, command: int) -> bytes:
        """Read an SMBus block of 1 to 32 bytes. Raises BrokenError if the chip sends no block."""
        label = check_address(self._name, address)
        answer = self._carry_out(label, partial(self._wire.read_block, address, command))
        length = answer[0]
        if not 1 <= length <= BLOCK:
            raise BrokenError(
                f"{self._name}, address {label}: the chip announces a block of {length} bytes for "
                f"command 0x{command:02x}; a block has 1 to {BLOCK}: is this an SMBus chip?"
            )
        return answer[1 : 1 + length]

    def write_block(self, address: int, command: int, data: bytes) -> None:
        """Write an SMBus block of 1 to 32 bytes: a command byte, the length, the bytes."""
        if not 1 <= len(data) <= BLOCK:
            raise InvalidValueError(
                f"{self._name}, 0x{address:02x}: a block of {len(data)} bytes; it has 1 to {BLOCK}"
            )
        self.write(address, bytes([command, len(data), *data]))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the bus for several transactions of the same caller: nobody comes in between."""
        self._lock.take()
        try:
            yield
        finally:
            self._lock.give()
            self._close_unused()

    def scan(self) -> tuple[int, ...]:
        """Return the addresses that answer to a read of one byte, 0x08 to 0x77.

        One at which the bus hangs does not answer.
        """
        with self.held():
            return tuple(each for each in range(_FIRST, _LAST + 1) if self._answers(each))

    def close(self) -> None:
        """Give the bus back; the last one closes it. One `close` too many is harmless.

        Never waits: if somebody holds the bus just now, it is closed when he lets go.
        """
        with self._count:
            self._users = max(0, self._users - 1)
        self._close_unused()

    def close_for_all(self) -> None:
        """Close the bus however many use it; every later call raises ClosedError."""
        with self._count:
            self._users = 0
        self._close_unused()

    def _close_unused(self) -> None:
        """Close the wire if nobody uses it, unless somebody holds the bus: he does it then."""
        while self._wire_is_open and not self._users and self._lock.take(wait=False):
            try:
                if self._wire_is_open and not self._users:
                    self._wire_is_open = False
                    self._wire.close()
            finally:
                self._lock.give()

    def _answers(self, address: int) -> bool:
        try:
            self.read(address, 1)
        except BrokenError:
            if not self._guard.works:
                raise
            return False
        return True

    def _carry_out(self, label: str, transaction: Callable[[], T]) -> T:
        with self.held():
            self._check_open()
            return self._guard.carry_out(label, transaction)

    def _check_open(self) -> None:
        if not self._users:
            raise ClosedError(f"{self._name}: not open; open it first")

    def _check_length(self, label: str, message: bytes | int) -> None:
        read = isinstance(message, int)
        length = message if isinstance(message, int) else len(message)
        if not 1 <= length <= _LONGEST:
            raise InvalidValueError(
                f"{self._name}, {label}: a {'read' if read else 'write'} of {length} bytes; "
                f"a message has 1 to {_LONGEST}"
            )


def check_address(bus: str, address: int, *, ten_bit: bool = False) -> str:
    """Return an address as people write it; raise InvalidValueError if no chip can have it."""
    first, last = (0, _LAST_TEN_BIT) if ten_bit else (_FIRST, _LAST)
    if not first <= address <= last:
        bits = " of 10 bits" if ten_bit else ""
        raise InvalidValueError(
            f"{bus}: 0x{address:02x} is no I²C address{bits}; they go from 0x{first:02x} "
            f"to 0x{last:02x}, without the read/write bit"
        )
    return f"0x{address:03x} (10 bits)" if ten_bit else f"0x{address:02x}"
