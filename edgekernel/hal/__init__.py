"""The boundaries: what a driver needs from outside, and what plays the outside in simulation.

Drivers take these protocols and never an implementation; `edgekernel.backends` fulfils them.
"""

from edgekernel.core.errors import BoundaryError, BrokenError, BusyError, ClosedError, NackError
from edgekernel.hal.gpio import DigitalInput, DigitalOutput, Edge, Pull
from edgekernel.hal.i2c import I2CBus, I2CTarget
from edgekernel.hal.serial import SerialPeer, SerialPort

__all__ = [
    "BoundaryError",
    "BrokenError",
    "BusyError",
    "ClosedError",
    "DigitalInput",
    "DigitalOutput",
    "Edge",
    "I2CBus",
    "I2CTarget",
    "NackError",
    "Pull",
    "SerialPeer",
    "SerialPort",
]
