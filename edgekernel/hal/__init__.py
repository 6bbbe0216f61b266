"""The boundaries: what a driver needs from outside, and what plays the outside in simulation.

Drivers take these protocols and never an implementation; `edgekernel.backends` fulfils them.
"""

from edgekernel.core.errors import BoundaryError, BrokenError, BusyError, ClosedError, NackError
from edgekernel.hal.chip import I2CChip
from edgekernel.hal.gpio import (
    DigitalInput,
    DigitalOutput,
    Edge,
    LineOutside,
    LineProvider,
    Pull,
    PwmOutput,
)
from edgekernel.hal.health import BusHealth, BusState, HasHealth
from edgekernel.hal.i2c import I2CBus, I2CTarget
from edgekernel.hal.lasting import LastingPort
from edgekernel.hal.lines import LineReader
from edgekernel.hal.onewire import OneWireBus, OneWireTarget
from edgekernel.hal.serial import Parity, Rs485, SerialPeer, SerialPort
from edgekernel.hal.silence import Silence
from edgekernel.hal.spi import SpiDevice, SpiTarget

__all__ = [
    "BoundaryError",
    "BrokenError",
    "BusHealth",
    "BusState",
    "BusyError",
    "ClosedError",
    "DigitalInput",
    "DigitalOutput",
    "Edge",
    "HasHealth",
    "I2CBus",
    "I2CChip",
    "I2CTarget",
    "LastingPort",
    "LineOutside",
    "LineProvider",
    "LineReader",
    "NackError",
    "OneWireBus",
    "OneWireTarget",
    "Parity",
    "Pull",
    "PwmOutput",
    "Rs485",
    "SerialPeer",
    "SerialPort",
    "Silence",
    "SpiDevice",
    "SpiTarget",
]
