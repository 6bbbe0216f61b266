"""What a backend is: it makes the boundaries of one machine, real or simulated."""

from __future__ import annotations

from typing import Protocol

from edgekernel.hal.address import BusAddress, LineAddress, PortAddress
from edgekernel.hal.gpio import DigitalInput, DigitalOutput
from edgekernel.hal.i2c import I2CBus
from edgekernel.hal.serial import SerialPort


class Backend(Protocol):
    """Makes boundaries by address. Making one touches no hardware: `open` does."""

    def digital_output(self, line: LineAddress) -> DigitalOutput:
        """Return a closed output on a line."""
        ...

    def digital_input(self, line: LineAddress) -> DigitalInput:
        """Return a closed input on a line."""
        ...

    def i2c_bus(self, bus: BusAddress) -> I2CBus:
        """Return the bus; the same object for every device on it."""
        ...

    def serial_port(self, port: PortAddress) -> SerialPort:
        """Return a closed port."""
        ...

    def close(self) -> None:
        """Give back what is still open."""
        ...
