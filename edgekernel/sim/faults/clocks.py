"""Faults of the wall clock: what time synchronisation and a bad crystal do to it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Annotated, cast

from annotated_types import Ge, Le

from edgekernel.sim.clock import SimClock
from edgekernel.sim.faults.fault import End, FaultKind
from edgekernel.sim.faults.site import Site

_REAL = "not possible in this run: it is on the real clock, which a fault plan leaves alone"


def clock_of(site: Site) -> SimClock:
    """Return the simulated clock of the run."""
    return cast(SimClock, site.bench.clock)


class _OnClock(FaultKind):
    def misfit(self, site: Site) -> str:
        """Say that it is the real clock."""
        return "" if isinstance(site.bench.clock, SimClock) else _REAL

    def clock(self, site: Site) -> SimClock:
        """Return the clock."""
        return clock_of(site)


@dataclass(frozen=True)
class ClockStep(_OnClock):
    """The wall time is set `by` seconds forward, or backward if negative, as time synchronisation
    does. Whoever waits waits by the monotonic time, which knows nothing of it."""

    word = "clock_step"
    lasting = False
    durations = ("by",)
    by: float

    def begin(self, site: Site, random: Random) -> End:
        """Step it."""
        self.clock(site).step_wall(self.by)
        return lambda: None


@dataclass(frozen=True)
class ClockDrift(_OnClock):
    """The wall time goes faster by `ppm` millionths, or slower if negative."""

    word = "clock_drift"
    ppm: Annotated[float, Ge(-100_000), Le(100_000)]

    def begin(self, site: Site, random: Random) -> End:
        """Drift from now on."""
        clock = self.clock(site)
        before = clock.wall_drift_ppm

        def apply(ppm: float | None) -> None:
            clock.wall_drift_ppm = before if ppm is None else ppm

        return site.overlay(("clock_drift",), apply, self.ppm)
