"""The stage of a fault plan: what a player plays it on."""

from __future__ import annotations

from random import Random
from typing import Any, Protocol

from edgekernel.core.clock import Clock
from edgekernel.sim.bench import Bench
from edgekernel.sim.faults.fault import End, Fault
from edgekernel.sim.faults.site import Overlay, Site, find_site


class Stage(Protocol):
    """Where a plan is played: around a simulated node, or between a real one and its board."""

    @property
    def clock(self) -> Clock:
        """On which the plan is played."""
        ...

    @property
    def depends(self) -> tuple[str, ...]:
        """The parts that are to be there before it begins."""
        ...

    @property
    def agent_alive(self) -> bool:
        """Whether there is somebody to tell something."""
        ...

    @property
    def outlives_agent(self) -> bool:
        """Whether it is still there when the agent has ended."""
        ...

    def problem(self, fault: Fault) -> str:
        """Say why a fault cannot be; empty if it can. Raises UnknownTargetError for its target."""
        ...

    def begin(self, fault: Fault, random: Random) -> End:
        """Let a fault begin; return what heals it. Chance comes from `random` only."""
        ...


class AroundBench:
    """The Stage around a simulated node."""

    depends = ("sim",)

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._overlays: dict[tuple[str, ...], Overlay[Any]] = {}

    @property
    def clock(self) -> Clock:
        """The clock of the simulation."""
        return self._bench.clock

    @property
    def agent_alive(self) -> bool:
        """Whether the simulated agent runs."""
        return self._bench.agent_alive

    @property
    def outlives_agent(self) -> bool:
        """Whether the agent can end and be started again."""
        return self._bench.agent is not None

    def problem(self, fault: Fault) -> str:
        """Say why a fault cannot be."""
        return fault.what.misfit(self._site(fault))

    def begin(self, fault: Fault, random: Random) -> End:
        """Let a fault begin."""
        return fault.what.begin(self._site(fault), random)

    def _site(self, fault: Fault) -> Site:
        sort, name = next(iter(fault.targets.items()), ("", ""))
        return find_site(self._bench, sort, name, self._overlays)
