"""Faults of the agent itself: it is killed, or the whole node loses its power."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Annotated, Any, Literal

from annotated_types import Ge

from edgekernel.sim.agent import Agent
from edgekernel.sim.faults.clocks import clock_of
from edgekernel.sim.faults.fault import End, FaultKind
from edgekernel.sim.faults.site import Site

Down = Literal["killed", "without power"]


class _OfAgent(FaultKind):
    ends_agent = True

    def misfit(self, site: Site) -> str:
        """Say that the agent cannot end and be there again."""
        if site.bench.agent is not None:
            return ""
        return "not possible in this run: it needs an agent that can be started again"

    def take_down(self, site: Site, how: Down, random: Random) -> End:
        """End the agent; of several that want it to be down, the last one says how."""
        apply = partial(_bring, site.bench.agent, random)
        return site.overlay(("agent",), apply, how)


@dataclass(frozen=True)
class AgentKilled(_OfAgent):
    """The agent is killed without a chance to do anything (SIGKILL), and started again at the end.

    Lines keep their levels, chips go on, files are as far as they were written.
    """

    word = "agent_killed"

    def begin(self, site: Site, random: Random) -> End:
        """Kill it."""
        return self.take_down(site, "killed", random)


@dataclass(frozen=True)
class PowerCut(_OfAgent):
    """Everything is without power until the agent starts again: outputs do nothing, chips forget
    their registers, the disk loses what was not synced. With `clock_set_after` the board has no
    battery for its clock: it starts with the time of the cut, and is set so long after that."""

    word = "power_cut"
    durations = ("clock_set_after",)
    clock_set_after: Annotated[float, Ge(0)] = 0.0

    def begin(self, site: Site, random: Random) -> End:
        """Cut it."""
        clock = clock_of(site)
        cut_s = clock.monotonic()
        restore = self.take_down(site, "without power", random)

        def end() -> None:
            away_s = clock.monotonic() - cut_s
            if self.clock_set_after:
                clock.step_wall(-away_s)
                site.bench.later(self.clock_set_after, partial(clock.step_wall, away_s))
            restore()

        return end


def _bring(agent: Agent | Any, random: Random, how: Down | None) -> None:
    if how is None:
        agent.start_again()
    elif how == "killed":
        agent.kill()
    else:
        agent.cut_power(random)
