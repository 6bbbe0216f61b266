"""Faults of lines: contacts that stick and bounce, edges that get lost, welded outputs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Annotated, Literal

from annotated_types import Gt, Le

from edgekernel.sim.faults.fault import End, FaultKind
from edgekernel.sim.faults.site import Site
from edgekernel.sim.outside import OutsideLine
from edgekernel.sim.places import Actuator


class _OnInput(FaultKind):
    """A fault of a line that the node reads."""

    on = ("line", "device")

    def misfit(self, site: Site) -> str:
        """Say that it is no such line."""
        if site.input is not None:
            return ""
        if site.sort == "line":
            return f"{site.name} is an output: the node drives it; try `welded` with its device"
        return f"{site.name} has no single input line; name the line"

    def line(self, site: Site) -> OutsideLine:
        """Return the line."""
        assert site.input is not None, "its misfit has been asked"
        return site.input


@dataclass(frozen=True)
class StuckLine(_OnInput):
    """An input line stays "low" or "high": a contact that sticks, a cut or shorted cable."""

    word = "stuck"
    level: Literal["low", "high"]

    def begin(self, site: Site, random: Random) -> End:
        """Hold it."""
        line = self.line(site)
        return site.overlay(("stuck", "line", line.name), line.hold, self.level == "high")


@dataclass(frozen=True)
class Bounce(_OnInput):
    """A contact bounces for `takes` seconds whenever it changes."""

    word = "bounce"
    durations = ("takes",)
    takes: Annotated[float, Gt(0), Le(1)] = 0.01

    def begin(self, site: Site, random: Random) -> End:
        """Let it bounce from now on."""
        line = self.line(site)

        def apply(bounces: tuple[float, Random] | None) -> None:
            line.bounce(*(bounces or (0.0, None)))

        return site.overlay(("bounce", line.name), apply, (self.takes, random))


@dataclass(frozen=True)
class LostEdges(_OnInput):
    """Nobody is told of a `share` of the changes, as when they come faster than the kernel keeps
    them: who reads the line sees it, who waits for edges does not."""

    word = "lost_edges"
    share: Annotated[float, Gt(0), Le(1)] = 1.0

    def misfit(self, site: Site) -> str:
        """Say that it is not a line of the board."""
        text = super().misfit(site)
        if text or self.line(site).loses_edges:
            return text
        return f"{self.line(site).name} is no line of the board: its chip tells of every change"

    def begin(self, site: Site, random: Random) -> End:
        """Lose edges from now on."""
        line = self.line(site)

        def apply(lost: tuple[float, Random] | None) -> None:
            line.lose_edges(*(lost or (0.0, None)))

        return site.overlay(("lost_edges", line.name), apply, (self.share, random))


@dataclass(frozen=True)
class Welded(FaultKind):
    """What a device switches stays "on" or "off" whatever its line does, and the node cannot see
    it: a welded contact, a blown fuse, a jammed valve. It is the worlds that feel it."""

    word = "welded"
    on = ("device",)
    state: Literal["on", "off"] = "on"

    def misfit(self, site: Site) -> str:
        """Say that no world would feel it."""
        if site.bench.actuators_of(site.name):
            return ""
        return f"no world looks at {site.name}, so nothing would come of it"

    def begin(self, site: Site, random: Random) -> End:
        """Keep it where it is stuck."""
        apply = partial(_weld, site.bench.actuators_of(site.name))
        return site.overlay(("welded", site.name), apply, 1.0 if self.state == "on" else 0.0)


def _weld(actuators: list[Actuator], share: float | None) -> None:
    for each in actuators:
        each.stuck = share
