"""Faults of the disk: no space, and commits that take long."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Annotated, cast

from annotated_types import Gt

from edgekernel.backends.sim import SimDisk
from edgekernel.sim.faults.fault import End, FaultKind
from edgekernel.sim.faults.site import Site


class _OnDisk(FaultKind):
    def misfit(self, site: Site) -> str:
        """Say that the node has no simulated disk."""
        return "" if site.bench.disk else "not possible in this run: the node writes to no disk"

    def disk(self, site: Site) -> SimDisk:
        """Return the disk."""
        return cast(SimDisk, site.bench.disk)


@dataclass(frozen=True)
class DiskFull(_OnDisk):
    """Writes fail for want of space."""

    word = "disk_full"

    def begin(self, site: Site, random: Random) -> End:
        """Fill it."""
        disk = self.disk(site)

        def apply(full: bool | None) -> None:
            disk.full = bool(full)

        return site.overlay(("disk_full",), apply, True)


@dataclass(frozen=True)
class DiskSlow(_OnDisk):
    """Each commit takes `takes` seconds more, as on a worn card."""

    word = "disk_slow"
    durations = ("takes",)
    takes: Annotated[float, Gt(0)] = 1.0

    def begin(self, site: Site, random: Random) -> End:
        """Slow it down."""
        disk = self.disk(site)

        def apply(takes_s: float | None) -> None:
            disk.slow_s = takes_s or 0.0

        return site.overlay(("disk_slow",), apply, self.takes)
