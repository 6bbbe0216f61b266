"""The boundaries of a simulated board, and the handles by which its outside is played."""

from edgekernel.backends.sim.backend import SimBackend
from edgekernel.backends.sim.disk import SimDisk
from edgekernel.backends.sim.gpio import SimLine
from edgekernel.backends.sim.i2c import SimI2CBus
from edgekernel.backends.sim.onewire import SimOneWireBus
from edgekernel.backends.sim.port import Loopback, SimPort
from edgekernel.backends.sim.serial import SimSerial
from edgekernel.backends.sim.spi import SimSpi

__all__ = [
    "Loopback",
    "SimBackend",
    "SimDisk",
    "SimI2CBus",
    "SimLine",
    "SimOneWireBus",
    "SimPort",
    "SimSerial",
    "SimSpi",
]
