"""A node with a relay and a button on simulated lines, as `edgekernel run` makes it."""

from __future__ import annotations

import sys

from edgekernel_devices.button import Button
from edgekernel_devices.relay import Relay

from benchmarks.round_trip.edges import BUTTON, LAMP, follow_stdin
from edgekernel import Runtime, SystemClock
from edgekernel.backends.sim.backend import SimBackend
from edgekernel.hal.address import LineAddress
from edgekernel.mqtt import MqttInterface, Settings


def make(port: int) -> Runtime:
    """Return the node's runtime, not booted yet."""
    sys.setswitchinterval(0.0005)
    backend = SimBackend(SystemClock())
    lamp, button = (LineAddress(f"GPIO{n}", "", n) for n in (LAMP, BUTTON))
    runtime = Runtime(name="n1")
    runtime.register(Relay("lamp", pin=backend.digital_output(lamp)))
    runtime.register(Button("button", pin=backend.digital_input(button), debounce=0.0))
    runtime.register(MqttInterface(Settings("127.0.0.1", port, prefix="edgekernel")))
    follow_stdin(backend.line(button.name).drive)
    return runtime


if __name__ == "__main__":
    make(int(sys.argv[1])).run()
