"""The worlds of a node in time: each is stepped at its own pace, by one service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from edgekernel.core.context import Context
from edgekernel.core.service import Service

STEP_S = 1.0
"""How often a world is stepped that does not say."""


class World(Protocol):
    """A piece of physics between outputs and readings, made with the bench as its argument.

    An attribute `step_s` says how often it is stepped, in seconds; otherwise once a second.
    """

    def step(self, seconds: float) -> None:
        """Let `seconds` pass: look at the outputs, move the quantities of the chips."""
        ...


class Worlds:
    """Several worlds as one, stepped in their order, each when its own time has come."""

    def __init__(self, worlds: Mapping[str, World]) -> None:
        self._worlds = [(each, _step_s(each)) for each in worlds.values()]
        self._at_s = [0.0 for _ in self._worlds]
        self._now_s = 0.0
        self.step_s = min((step_s for _, step_s in self._worlds), default=STEP_S)

    def step(self, seconds: float) -> None:
        """Let `seconds` pass in those worlds whose step has ended."""
        self._now_s += seconds
        almost_s = self.step_s / 2  # a tick is not late because of a rounded sum
        for index, (world, step_s) in enumerate(self._worlds):
            passed_s = self._now_s - self._at_s[index]
            if passed_s > step_s - almost_s:
                self._at_s[index] = self._now_s
                world.step(passed_s)


class WorldService(Service):
    """Steps a world in the time of the runtime's clock."""

    name = "world"

    def __init__(self, world: World, at_s: float | None = None) -> None:
        """Step a world, from a monotonic time on if another service has stepped it to there."""
        self._world = world
        self.interval = _step_s(world)
        self.at_s = at_s
        """Up to which time the world has been stepped; None before the start."""

    def start(self, ctx: Context) -> None:
        """Begin at the present, unless it goes on from before."""
        if self.at_s is None:
            self.at_s = ctx.clock.monotonic()

    def stop(self, ctx: Context) -> None:
        """Let no time pass until the next start."""
        self.at_s = None

    def tick(self, ctx: Context) -> None:
        """Let the time since the last tick pass in the world."""
        self.step_to(ctx.clock.monotonic())

    def step_to(self, now_s: float) -> None:
        """Let time pass in the world up to a monotonic time."""
        self._world.step(now_s - (now_s if self.at_s is None else self.at_s))
        self.at_s = now_s


def _step_s(world: World) -> float:
    return float(getattr(world, "step_s", STEP_S))
