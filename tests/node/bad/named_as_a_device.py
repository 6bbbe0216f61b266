"""An application whose process has the name of a device."""

from edgekernel import Process, Runtime


class Fan(Process):
    """Takes the name of a device."""

    name = "fan"


def setup(runtime: Runtime) -> None:
    """Register the process."""
    runtime.register(Fan())
