"""What a backend is: it makes the boundaries of one machine, real or simulated."""

from __future__ import annotations

from typing import Protocol

from edgekernel.hal.address import (
    BusAddress,
    LineAddress,
    OneWireAddress,
    PortAddress,
    PwmAddress,
    SpiAddress,
)
from edgekernel.hal.gpio import DigitalInput, DigitalOutput, PwmOutput
from edgekernel.hal.i2c import I2CBus
from edgekernel.hal.onewire import OneWireBus
from edgekernel.hal.serial import SerialPort
from edgekernel.hal.spi import SpiDevice


class Backend(Protocol):
    """Makes boundaries by address. Making one touches no hardware: `open` does."""

    def digital_output(self, line: LineAddress) -> DigitalOutput:
        """Return a closed output on a line."""
        ...

    def digital_input(self, line: LineAddress) -> DigitalInput:
        """Return a closed input on a line."""
        ...

    def pwm_output(self, address: PwmAddress, *, software: bool = False) -> PwmOutput:
        """Return a closed output for pulses; `software` allows it where no hardware timer can."""
        ...

    def i2c_bus(self, bus: BusAddress) -> I2CBus:
        """Return the bus; the same object for every device on it."""
        ...

    def serial_port(self, port: PortAddress) -> SerialPort:
        """Return a closed port."""
        ...

    def spi_device(self, address: SpiAddress) -> SpiDevice:
        """Return a closed chip select."""
        ...

    def onewire_bus(self, bus: OneWireAddress) -> OneWireBus:
        """Return the bus; the same object for every device on it."""
        ...

    def close(self) -> None:
        """Give back what is still open."""
        ...
