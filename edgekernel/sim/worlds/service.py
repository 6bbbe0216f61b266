"""The worlds of a node in time: each is stepped at its own pace, by one service."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, Protocol

from edgekernel.core.context import Context
from edgekernel.core.errors import InvalidValueError, describe
from edgekernel.core.service import Service
from edgekernel.sim.errors import SimulationError

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
    """Several worlds as one, stepped in their order, each when its own time has come.

    Raises InvalidValueError for a world whose `step_s` is no time.
    """

    def __init__(self, worlds: Mapping[str, World]) -> None:
        self._worlds = [(name, each, _step_s(name, each)) for name, each in worlds.items()]
        self._at_s = [0.0 for _ in self._worlds]
        self._now_s = 0.0
        self.step_s = min((step_s for _, _, step_s in self._worlds), default=STEP_S)

    def step(self, seconds: float) -> None:
        """Let `seconds` pass in those worlds whose step has ended.

        What one of them raises keeps no time from the others: it is raised in the end, as a
        SimulationError that names the world.
        """
        self._now_s += seconds
        almost_s = self.step_s / 2  # a tick is not late because of a rounded sum
        failures: list[tuple[str, Exception]] = []
        for index, (name, world, step_s) in enumerate(self._worlds):
            passed_s = self._now_s - self._at_s[index]
            if passed_s > step_s - almost_s:
                self._at_s[index] = self._now_s
                try:
                    world.step(passed_s)
                except Exception as error:
                    failures.append((name, error))
        if failures:
            told = "; ".join(f"the world {name}: {describe(e)[0]}" for name, e in failures)
            raise SimulationError(told) from failures[0][1]


class WorldService(Service):
    """Steps a world in the time of the runtime's clock, from when it starts first: what passes
    while it is started again is part of its next step."""

    name = "world"

    def __init__(self, world: World, at_s: float | None = None) -> None:
        """Step a world, from a monotonic time on if another service has stepped it to there."""
        self._world = world
        self.interval = _step_s(self.name, world)
        self.at_s = at_s
        """Up to which time the world has been stepped; None before the start."""

    def start(self, ctx: Context) -> None:
        """Begin at the present, unless it goes on from before."""
        if self.at_s is None:
            self.at_s = ctx.clock.monotonic()

    def tick(self, ctx: Context) -> None:
        """Let the time since the last tick pass in the world."""
        self.step_to(ctx.clock.monotonic())

    def step_to(self, now_s: float) -> None:
        """Let time pass in the world up to a monotonic time."""
        passed_s = now_s - (now_s if self.at_s is None else self.at_s)
        self.at_s = now_s
        self._world.step(passed_s)


def _step_s(name: str, world: World) -> float:
    step_s: Any = getattr(world, "step_s", STEP_S)
    if isinstance(step_s, int | float) and 0 < step_s < inf:
        return float(step_s)
    raise InvalidValueError(
        f"the world {name}: step_s is {step_s!r}; a number of seconds above 0 is allowed"
    )
