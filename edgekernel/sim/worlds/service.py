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

    def __init__(self, world: World) -> None:
        self._world = world
        self.interval = _step_s(world)
        self._last_s = 0.0

    def start(self, ctx: Context) -> None:
        """Begin at the present."""
        self._last_s = ctx.clock.monotonic()

    def tick(self, ctx: Context) -> None:
        """Let the time since the last tick pass in the world."""
        now = ctx.clock.monotonic()
        self._world.step(now - self._last_s)
        self._last_s = now


def _step_s(world: World) -> float:
    return float(getattr(world, "step_s", STEP_S))
