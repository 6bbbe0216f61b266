"""What a simulation raises when it cannot go on."""

from edgekernel.core.errors import EdgekernelError


class SimulationError(EdgekernelError, RuntimeError):
    """The simulation cannot go on: everybody waits for ever, a second thread uses its clock,
    something waits for anything but the clock, or a world fails."""
