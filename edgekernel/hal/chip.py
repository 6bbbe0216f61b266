"""One address on a shared I²C bus, opened and closed by one driver."""

from __future__ import annotations

from edgekernel.hal.i2c import I2CBus


class I2CChip:
    """The chip at an address of a bus. Calls raise what those of the bus raise."""

    def __init__(self, bus: I2CBus, address: int) -> None:
        self.where = f"{bus.name} address {address:#04x}"
        self._bus = bus
        self._address = address
        self._open = False

    def open(self) -> None:
        """Take the bus into use."""
        self._bus.open()
        self._open = True

    def close(self) -> None:
        """Give the bus back; harmless if it is not open."""
        if self._open:
            self._open = False
            self._bus.close()

    def read(self, length: int) -> bytes:
        """Read `length` bytes."""
        return self._bus.read(self._address, length)

    def write(self, *data: int) -> None:
        """Write bytes, in one transaction."""
        self._bus.write(self._address, bytes(data))

    def read_from(self, register: int, length: int) -> bytes:
        """Write a register's number (or a command), then read after a repeated start."""
        return self._bus.write_read(self._address, bytes([register]), length)
