"""Also frequent: without the hardware nothing can be tested, or even imported.

joan2937/pigpio#469; bookwar/python-gpiodev#9; underground-software/RPi.GPIO2#16;
CohenLabPrinceton/pvp PR#66.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.pains.conftest import write

NODE = """
[devices.heater]
driver = "relay"
pin = "GPIO17"

[devices.room]
driver = "bme280"
bus = "i2c1"
address = 0x76

[devices.scale]
driver = "gps"
port = "/dev/serial/by-id/usb-gps"
"""
PROGRAM = """
import sys

for name in ("lgpio", "RPi", "smbus2", "spidev", "pigpio"):
    sys.modules[name] = None  # as on a computer on which they cannot be installed

from pathlib import Path

from edgekernel import Runtime
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock

with SimClock() as clock:
    runtime, bench = assemble_simulated(make_plan(Path(sys.argv[1])), clock, Runtime)
    with runtime:
        bench.chip("room").temperature_c = 12.5
        runtime.devices["heater"].outputs["power"].set(True)
        clock.advance(3600)
        assert bench.is_on("heater")
        assert abs(runtime.devices["room"].readings["temperature"].value - 12.5) < 0.05
        assert runtime.devices["scale"].readings["fix"].value is True
    assert not bench.is_on("heater")
print("an hour")
"""


def test_anywhere(tmp_path: Path) -> None:
    """A laptop has no GPIO, and the program cannot be tried on it: the node file of a board runs
    anywhere, drivers included, without the libraries that need the hardware; an hour passes in a
    moment."""
    node = write(tmp_path, NODE, "raspberrypi/5")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, node],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stderr, done.stdout, done.returncode) == ("", "an hour\n", 0)
