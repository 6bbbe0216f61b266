"""The I²C buses of Linux (/dev/i2c-N), through smbus2."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgekernel.backends.linux.smbus_calls import call_for
from edgekernel.backends.shared_i2c import BLOCK
from edgekernel.core.errors import BrokenError, NackError, StuckError
from edgekernel.hal.address import BusAddress

if TYPE_CHECKING:
    from smbus2 import SMBus, i2c_msg

_NACKS = frozenset({errno.EREMOTEIO, errno.ENXIO})
"""No acknowledge (Linux, Documentation/i2c/fault-codes.rst; EREMOTEIO on the Raspberry Pi)."""

_FAULTS = frozenset(
    {errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY, errno.EIO, errno.ENODEV, errno.ESHUTDOWN}
)
"""What a stuck bus looks like: no end in time, arbitration lost, bus busy (fault-codes.rst), and
where an adapter has gone. EIO is vague: the Raspberry Pi's driver means a clock stretched too far
(i2c-bcm2835.c), others a data byte without acknowledge (i2c-algo-bit.c)."""

_M_TEN, _M_RECV_LEN = 0x0010, 0x0400
_FUNC_I2C, _FUNC_10BIT, _FUNC_READ_BLOCK = 0x00000001, 0x00000002, 0x01000000
"""Flags of messages and adapters (Linux, include/uapi/linux/i2c.h)."""

_START_BYTE = 0x00
"""As an address that is read from (UM10204, section 3.1.12)."""


class DeviceWire:
    """A Wire on a device file."""

    def __init__(self, bus: BusAddress) -> None:
        self._place = f"{bus.name} ({bus.device})"
        self._device = bus.device
        self._smbus: SMBus | None = None

    def open(self) -> None:
        """Open the device file. Raises BrokenError that says what to do."""
        from smbus2 import SMBus

        smbus = SMBus()
        try:
            smbus.open(self._device)
        except OSError as error:
            smbus.close()  # smbus2 keeps the file open if it is no I²C bus
            raise BrokenError(f"{self._place}: {_remedy(error)}") from error
        self._smbus = smbus

    def transfer(
        self, address: int, messages: Sequence[bytes | int], ten_bit: bool
    ) -> tuple[bytes, ...]:
        """Carry out writes (bytes) and reads (lengths) as one transaction; return what was read.

        The driver of the Raspberry Pi takes one read, and that last (i2c-bcm2835.c). An adapter
        that has SMBus calls only carries out what is one of them. Raises NackError if nobody
        acknowledges, StuckError or BrokenError for any other failure.
        """
        if ten_bit:
            self._check(_FUNC_10BIT, address, "it has no addresses of 10 bits")
        if not self._can(_FUNC_I2C):
            return self._call(address, messages)
        made = [_message(address, each) for each in messages]
        for each in made:
            each.flags |= _M_TEN if ten_bit else 0
        self._carry_out(address, *made)
        pairs = zip(made, messages, strict=True)
        return tuple(bytes(each) for each, asked in pairs if isinstance(asked, int))

    def read_block(self, address: int, command: int) -> bytes:
        """Send a command byte and read; return the length byte and at least as many bytes more.

        An adapter that knows block reads takes the length from the chip (I2C_M_RECV_LEN, which is
        for those with I2C_FUNC_SMBUS_READ_BLOCK_DATA; include/uapi/linux/i2c.h), or by an SMBus
        call if it is no I²C adapter. Most, the Raspberry Pi's among them, know none: there the
        longest block is read, and what follows a shorter one is of no meaning.
        """
        if not self._can(_FUNC_READ_BLOCK):
            return self.transfer(address, (bytes([command]), 1 + BLOCK), False)[0]
        if not self._can(_FUNC_I2C):
            with self._explained(address):
                block = self._open_bus.read_block_data(address, command)
            return bytes([len(block), *block])
        answer = _message(address, 1 + BLOCK)
        answer.flags |= _M_RECV_LEN
        answer.buf[0] = b"\x01"  # bytes beside those announced (drivers/i2c/i2c-dev.c)
        self._carry_out(address, _message(address, bytes([command])), answer)
        return bytes(answer)

    def probe(self) -> None:
        """Send a START byte, which nobody may acknowledge. Raises StuckError if the bus is stuck.

        An adapter that refuses this address, or any other answer, says nothing against the bus.
        """
        try:
            self.transfer(_START_BYTE, (1,), False)
        except StuckError as error:
            raise StuckError(f"{self._place}: the bus is stuck: {_cause(error)}") from error
        except BrokenError:
            return

    def close(self) -> None:
        """Close the device file. Closing twice is harmless."""
        if self._smbus is not None:
            self._smbus.close()
            self._smbus = None

    @property
    def _open_bus(self) -> SMBus:
        assert self._smbus is not None, "SharedI2CBus transfers on an open wire only"
        return self._smbus

    def _can(self, function: int) -> bool:
        return bool(self._open_bus.funcs & function)

    def _check(self, function: int, address: int, otherwise: str) -> None:
        if not self._can(function):
            raise BrokenError(
                f"{self._place}, address 0x{address:02x}: the adapter cannot do this: {otherwise}"
            )

    def _call(self, address: int, messages: Sequence[bytes | int]) -> tuple[bytes, ...]:
        call = call_for(messages, self._open_bus.funcs)
        if call is None:
            raise BrokenError(
                f"{self._place}, address 0x{address:02x}: the adapter has SMBus calls only, and "
                f"none for {_shape(messages)}. Use an adapter that is an I²C controller"
            )
        with self._explained(address):
            read = call(self._open_bus, address)
        return () if read is None else (read,)

    def _carry_out(self, address: int, *messages: i2c_msg) -> None:
        with self._explained(address):
            self._open_bus.i2c_rdwr(*messages)

    @contextmanager
    def _explained(self, address: int) -> Iterator[None]:
        """Turn what the kernel says into an error that names the place."""
        try:
            yield
        except OSError as error:
            place = f"{self._place}, address 0x{address:02x}"
            if error.errno in _NACKS:
                raise NackError(
                    f"{place}: no acknowledge ({_code(error)}). Check wiring, power and address"
                ) from error
            kind = StuckError if error.errno in _FAULTS else BrokenError
            advice = "Check wiring and pull-ups"
            if error.errno == errno.EOPNOTSUPP:
                advice = "The adapter cannot carry out these messages as one transaction"
            if error.errno == errno.EBUSY:
                advice += "; or a driver of the kernel uses this address"
            raise kind(f"{place}: {error.strerror or error} ({_code(error)}). {advice}") from error


def _message(address: int, asked: bytes | int) -> i2c_msg:
    from smbus2 import i2c_msg

    if isinstance(asked, int):
        return i2c_msg.read(address, asked)
    return i2c_msg.write(address, asked)


def _shape(messages: Sequence[bytes | int]) -> str:
    """Return what a transaction is, in words."""
    return ", then ".join(
        f"a read of {each} bytes" if isinstance(each, int) else f"a write of {len(each)} bytes"
        for each in messages
    )


def _code(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "no error number")


def _cause(error: BaseException) -> str:
    """Return what the kernel has said."""
    said = error.__cause__
    assert isinstance(said, OSError), "made from one"
    return f"{said.strerror or said} ({_code(said)}). Check wiring, power and pull-ups"


def _remedy(error: OSError) -> str:
    match error.errno:
        case errno.ENOENT:
            return (
                "the bus is not enabled. On a Raspberry Pi put dtparam=i2c_arm=on into "
                "config.txt, load the module i2c-dev, and reboot (raspi-config does both)"
            )
        case errno.EACCES | errno.EPERM:
            return (
                "no permission. Add the user to the group i2c (sudo usermod -aG i2c $USER) "
                "and log in again"
            )
        case errno.ENOTTY:
            return "this file is no I²C bus"
        case _:
            return f"cannot be opened: {error.strerror or error}"
