"""Worlds in time: each at its own pace, in their order, and no time is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgekernel import Runtime
from edgekernel.sim import SimClock, Worlds, WorldService


class Counted:
    """A world that counts its steps."""

    def __init__(self, step_s: float, told: Callable[[float], None]) -> None:
        self.step_s = step_s
        self.steps: list[float] = []
        self._told = told

    def step(self, seconds: float) -> None:
        """Count."""
        self.steps.append(seconds)
        self._told(self.step_s)


def test_own_pace() -> None:
    """Each world is stepped as often as it says, with all the time that has passed."""
    order: list[float] = []
    slow, quick, odd = (Counted(step_s, order.append) for step_s in (10.0, 0.1, 0.25))
    with SimClock() as clock:
        runtime = Runtime(clock=clock)
        runtime.register(WorldService(Worlds({"slow": slow, "quick": quick, "odd": odd})))
        with runtime:
            clock.advance(60)
    assert len(quick.steps) == pytest.approx(600, abs=2)
    assert len(slow.steps) == pytest.approx(6, abs=1)
    assert len(odd.steps) == pytest.approx(240, abs=40)
    assert sum(quick.steps) == pytest.approx(60, abs=0.11)
    assert sum(slow.steps) == pytest.approx(60, abs=10.1)
    first = order.index(10.0)
    assert order[first : first + 2] == [10.0, 0.1]
