"""The simulated backend as a whole."""

from __future__ import annotations

import subprocess
import sys

from edgekernel.backends.backend import Backend
from edgekernel.backends.sim import SimBackend


def test_is_a_backend(backend: SimBackend) -> None:
    """A SimBackend is a Backend; mypy checks the signatures, this that it closes twice."""
    made: Backend = backend
    made.close()
    made.close()


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
