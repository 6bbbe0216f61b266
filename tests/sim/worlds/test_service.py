"""Worlds in time: each at its own pace, in their order, and no time is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekernel import Runtime, message
from edgekernel.core.errors import InvalidValueError
from edgekernel.sim import Actuator, SimClock, Worlds, WorldService
from edgekernel.sim.worlds import ThermalRoom


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


@settings(max_examples=20, deadline=None)
@given(
    step_s=st.floats(0.2, 20), phase_s=st.floats(0, 20),
    on_s=st.lists(st.floats(1, 60), min_size=1, max_size=6),
)  # fmt: skip
def test_phase_does_not_matter(step_s: float, phase_s: float, on_s: list[float]) -> None:
    """However often and when a room is stepped, it is as warm in the end as by the heat that it
    got: a switch of the heater is seen late by one step at most, and nothing adds up."""
    with SimClock() as clock:
        heating = [0.0]
        room = ThermalRoom(
            heater=Actuator("heater", lambda: heating[0]), start_c=10, outside_c=10,
            loss_w_per_k=1e-6, heater_w=500, capacity_j_per_k=50_000,
        )  # fmt: skip
        room.step_s = step_s
        runtime = Runtime(clock=clock)
        clock.advance(phase_s)
        runtime.register(WorldService(Worlds({"room": room})))
        with runtime:
            for seconds in on_s:
                for share in (1.0, 0.0):
                    heating[0] = share
                    clock.advance(seconds)
            clock.advance(2 * step_s)
    late_s = 2 * len(on_s) * step_s
    assert room.temperature_c == pytest.approx(10 + sum(on_s) * 0.01, abs=late_s * 0.01 + 1e-3)


class Failing(Counted):
    """A world that cannot be stepped for the first few times."""

    left = 3

    def step(self, seconds: float) -> None:
        """Fail, or count."""
        self.left -= 1
        if self.left >= 0:
            raise ValueError("no ground")
        super().step(seconds)


def test_one_that_fails_is_named() -> None:
    """What a world raises is told with its name; the others lose no time, neither in that step
    nor while the service is started again."""
    failing, sound = (kind(1.0, lambda _: None) for kind in (Failing, Counted))
    with SimClock() as clock:
        runtime = Runtime(clock=clock)
        runtime.register(WorldService(Worlds({"house": failing, "water": sound})))
        told: list[object] = []
        runtime.subscribe(
            message.ServiceError, lambda event: told.append(event.payload.to_dict()["error"])
        )
        with runtime:
            clock.advance(300)
    assert told == ["SimulationError: the world house: ValueError: no ground"] * 3
    assert sum(sound.steps) == pytest.approx(300, abs=1.01)
    assert len(failing.steps) > 100


@pytest.mark.parametrize("step_s", [0, -1.0, "1s", float("nan"), float("inf")])
def test_step_is_a_time(step_s: float) -> None:
    """How often a world is stepped is above 0 and finite; anything else is refused by name."""
    with pytest.raises(InvalidValueError, match="the world house: step_s is"):
        Worlds({"house": Counted(step_s, lambda _: None)})
