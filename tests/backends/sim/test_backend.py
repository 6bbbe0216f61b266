"""The simulated backend as a whole."""

from __future__ import annotations

import subprocess
import sys

from edgekernel.backends.backend import Backend
from edgekernel.backends.sim import SimBackend
from edgekernel.hal.address import BusAddress, LineAddress, PortAddress, SpiAddress


def test_is_a_backend(backend: SimBackend) -> None:
    """A SimBackend is a Backend; mypy checks the signatures, this that it closes twice."""
    made: Backend = backend
    made.close()
    made.close()


def test_claimed(backend: SimBackend) -> None:
    """What is open is named: a line and a port once, a bus once for each user, and nothing that
    was closed or whose user has died."""
    line, port = LineAddress("GPIO17", "", 17), PortAddress("uart0", "/dev/ttyAMA0")
    output, serial = backend.digital_output(line), backend.serial_port(port)
    bus = backend.i2c_bus(BusAddress("i2c1", "/dev/i2c-1"))
    chip = backend.spi_device(SpiAddress("spi0.0", "/dev/spidev0.0"))
    assert backend.claimed == []
    output.open(False)
    serial.open(9600, 1.0)
    bus.open()
    bus.open()
    chip.open(1000)
    assert backend.claimed == ["GPIO17", "i2c1", "i2c1", "spi0.0", "uart0"]
    bus.close()
    serial.close()
    assert backend.claimed == ["GPIO17", "i2c1", "spi0.0"]
    backend.cut_off()
    backend.vacate(backend.clock)
    assert backend.claimed == []


def test_no_hardware_library() -> None:
    """The simulated backend loads no library that needs hardware and sets no default pins."""
    program = (
        "import sys\n"
        "from edgekernel.backends.sim import SimBackend\n"
        "from edgekernel.core.clock import SystemClock\n"
        "from edgekernel.hal.address import LineAddress\n"
        "backend = SimBackend(SystemClock())\n"
        "backend.digital_output(LineAddress('GPIO1', '', 1)).open(True)\n"
        "from gpiozero import Device\n"
        "print({'lgpio', 'smbus2', 'spidev'} & set(sys.modules), Device.pin_factory)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("set() None\n", "")
