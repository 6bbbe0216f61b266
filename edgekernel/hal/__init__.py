"""The boundaries: what a driver needs from outside, and what plays the outside in simulation.

Drivers take these protocols and never an implementation; `edgekernel.backends` fulfils them.
"""

from edgekernel.core.errors import BoundaryError, BrokenError, BusyError, ClosedError, NackError
from edgekernel.hal.gpio import (
    DigitalInput,
    DigitalOutput,
    Edge,
    LineOutside,
    LineProvider,
    Pull,
    PwmOutput,
)
from edgekernel.hal.i2c import I2CBus, I2CTarget
from edgekernel.hal.onewire import OneWireBus, OneWireTarget
from edgekernel.hal.serial import RS485, Parity, SerialPeer, SerialPort
from edgekernel.hal.spi import SpiDevice, SpiTarget

__all__ = [
    "RS485",
    "BoundaryError",
    "BrokenError",
    "BusyError",
    "ClosedError",
    "DigitalInput",
    "DigitalOutput",
    "Edge",
    "I2CBus",
    "I2CTarget",
    "LineOutside",
    "LineProvider",
    "NackError",
    "OneWireBus",
    "OneWireTarget",
    "Parity",
    "Pull",
    "PwmOutput",
    "SerialPeer",
    "SerialPort",
    "SpiDevice",
    "SpiTarget",
]
