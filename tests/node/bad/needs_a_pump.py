"""An application that requires a device which the node file does not have."""

from edgekernel_devices.relay import Relay

from edgekernel import Process, Runtime, requires


class Irrigation(Process):
    """Needs a pump."""

    name = "irrigation"
    pump = requires(Relay, id="pump")


def setup(runtime: Runtime) -> None:
    """Register the process."""
    runtime.register(Irrigation())
