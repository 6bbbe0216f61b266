"""An application with a device of its own, whose name differs in a capital only."""

from edgekernel import Device, Runtime


def setup(runtime: Runtime) -> None:
    """Attach the twin of the device `fan`."""
    runtime.attach_device(Device("Fan"))
