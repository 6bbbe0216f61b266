"""Drill: the part of a node that says that something is broken on purpose."""

from __future__ import annotations

from edgekernel.core.context import Context
from edgekernel.core.markers import lifecycle
from edgekernel.core.messages import Message, Severity
from edgekernel.core.process import Process
from edgekernel.sim.faults.player import FaultPlayer


class DrillBegan(Message):
    """From now on the faults of a plan are done to this node on purpose."""

    severity = Severity.WARNING
    faults: int


class DrillEnded(Message):
    """All faults of the drill have been ended."""

    severity = Severity.WARNING


class Drill(Process):
    """Tells of a drill while it lasts: as events, and as the health of this part."""

    name = "drill"

    def __init__(self, player: FaultPlayer) -> None:
        """Look at who plays the plan."""
        self.depends = (player.name,)
        self._player = player

    def start(self, ctx: Context) -> None:
        """Tell that it begins."""
        ctx.emit(DrillBegan(len(self._player.faults)))

    def stop(self, ctx: Context) -> None:
        """End all faults, and tell that."""
        self._player.end()
        ctx.emit(DrillEnded())

    @property
    def running(self) -> str:
        """The faults that are there now, in words; empty if there are none."""
        faults = self._player.running
        return ", ".join(f"{each.what.word} {each.target}".rstrip() for each in faults)

    @lifecycle.health
    def problem(self) -> str:
        """Say what is broken on purpose."""
        return f"a drill is under way: {self.running}" if self.running else ""
