"""Faults of what is around a node beyond its board: the agent itself, the disk.

They are words of a plan, so that one plan can hold all that shall go wrong. Who plays them brings
the run they are possible in; where nobody does they are refused when the plan is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge

from edgekernel.sim.faults.fault import FaultKind
from edgekernel.sim.faults.site import Site


class _Elsewhere(FaultKind):
    """A fault that needs something of the run."""

    needs: ClassVar[str]

    def misfit(self, site: Site) -> str:
        """Say what is missing."""
        return f"not possible in this run: {self.word} needs {self.needs}"


class _WithDisk(_Elsewhere):
    needs = "a store that takes part in it, and there is none"


class _WithAgent(_Elsewhere):
    needs = "the agent to be a process of its own; here it is part of the simulation"


@dataclass(frozen=True)
class DiskFull(_WithDisk):
    """Writes fail for want of space."""

    word = "disk_full"


@dataclass(frozen=True)
class DiskSlow(_WithDisk):
    """Each commit takes `takes` seconds more, as on a worn card."""

    word = "disk_slow"
    durations = ("takes",)
    takes: Annotated[float, Ge(0)] = 1.0


@dataclass(frozen=True)
class AgentKilled(_WithAgent):
    """The agent is killed without a chance to do anything (SIGKILL), and started again."""

    word = "agent_killed"
    lasting = False
    drill = True


@dataclass(frozen=True)
class PowerCut(_WithAgent):
    """Everything is without power: the agent, its disk with what was not synced, the chips."""

    word = "power_cut"
