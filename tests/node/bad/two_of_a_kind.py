"""An application of two processes, whose names differ in what no topic can hold."""

from edgekernel import Process, Runtime, command


class Dashed(Process):
    """One of the two."""

    name = "fan-control"

    @command
    def boost(self) -> None:
        """Do nothing."""


class Underlined(Process):
    """The other."""

    name = "fan_control"

    @command
    def boost(self) -> None:
        """Do nothing."""


def setup(runtime: Runtime) -> None:
    """Register both."""
    runtime.register(Dashed())
    runtime.register(Underlined())
