"""The I²C buses of Linux (/dev/i2c-N), through smbus2."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from edgekernel.core.errors import BrokenError, NackError
from edgekernel.hal.address import BusAddress

if TYPE_CHECKING:
    from smbus2 import SMBus

_NACKS = frozenset({errno.EREMOTEIO, errno.ENXIO})
"""No acknowledge (Linux, Documentation/i2c/fault-codes.rst; EREMOTEIO on the Raspberry Pi)."""


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

    def transfer(self, address: int, data: bytes, length: int) -> bytes:
        """Write `data` if there is any, then read `length` bytes if not 0, as one transaction.

        Raises NackError if nobody acknowledges, BrokenError for any other failure.
        """
        from smbus2 import i2c_msg

        assert self._smbus is not None, "SharedI2CBus transfers on an open wire only"
        messages = [i2c_msg.write(address, data)] if data else []
        answer = i2c_msg.read(address, length)
        if length:
            messages.append(answer)
        try:
            self._smbus.i2c_rdwr(*messages)
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, "no error number")
            place = f"{self._place}, address 0x{address:02x}"
            if error.errno in _NACKS:
                raise NackError(
                    f"{place}: no acknowledge ({name}). Check wiring, power and address"
                ) from error
            raise BrokenError(
                f"{place}: {error.strerror or error} ({name}). Check wiring and pull-ups"
            ) from error
        return bytes(answer) if length else b""

    def close(self) -> None:
        """Close the device file."""
        if self._smbus is not None:
            self._smbus.close()
            self._smbus = None


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
