"""Spare lines of a simulated board that are wired to SCL and SDA of a bus."""

from __future__ import annotations

from edgekernel.backends.sim.gpio import SimLine
from edgekernel.backends.sim.i2c_faults import I2CFaults


class JoinedLines:
    """Two lines as open-drain neighbours of a bus: low if held there, else what their pull says."""

    def __init__(self, faults: I2CFaults, scl: SimLine, sda: SimLine) -> None:
        self._faults = faults
        self._scl, self._sda = scl, sda
        scl.watch(self._clocked)

    def follow(self) -> None:
        """Show what holds the lines of the bus; an output of the board is let be."""
        for line, held in ((self._scl, "scl"), (self._sda, "sda")):
            if self._faults.held != held:
                line.release()
            elif line.function == "input":
                line.drive(False)

    def _clocked(self, level: bool) -> None:
        if level:  # let go after it was pulled low: the chips have seen a clock
            self._faults.pulse(1)
