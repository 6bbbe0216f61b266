"""The motor: against the closed-form solution, and its encoder edge by edge."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import exp
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Runtime
from edgekernel.core.errors import InvalidValueError
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import Actuator, Sensor, SimClock
from edgekernel.sim.worlds import Motor

At = Callable[[float], Actuator]


def test_runs_up(at: At) -> None:
    """The speed follows the drive with its time constant, and the turns are its integral."""
    speeds: list[float] = []
    speed = Sensor("speed", speeds.append, float)
    motor = Motor(drive=at(0.5), full_speed_rps=8, inertia_s=0.3, speed=speed)
    motor.step(0.3)
    assert speeds == [pytest.approx(4 * (1 - exp(-1)))]
    assert motor.turns == pytest.approx(4 * 0.3 * exp(-1))
    motor.step(30)
    assert motor.speed_rps == pytest.approx(4)
    assert motor.turns == pytest.approx(4 * 30.3 - 4 * 0.3)


@given(
    cuts=st.lists(st.floats(0.0001, 3), min_size=1, max_size=20),
    drive=st.floats(-1, 1),
    before=st.floats(-1, 1),
)
def test_step_size_does_not_matter(cuts: list[float], drive: float, before: float) -> None:
    """However a time is cut into steps, speed and position at its end are the same."""
    share = [before]
    motors = [Motor(drive=Actuator("drive", lambda: share[0])) for _ in range(2)]
    for motor in motors:
        motor.step(1.0)
    share[0] = drive
    for seconds in cuts:
        motors[0].step(seconds)
    motors[1].step(sum(cuts))
    assert motors[0].speed_rps == pytest.approx(motors[1].speed_rps, abs=1e-9)
    assert motors[0].turns == pytest.approx(motors[1].turns, abs=1e-9)


ENCODER = """
[node]
name = "bench"
board = "sim"

[devices.drive]
driver = "motor"
forward = "GPIO18"
backward = "GPIO19"
software = true

[devices.shaft]
driver = "rotary_encoder"
a = "GPIO5"
b = "GPIO6"
pull = "none"

[sim.worlds.motor]
kind = "motor"
drive = "drive"
a = "shaft.a"
b = "shaft.b"
full_speed_rps = 2
inertia_s = 0.1
counts_per_turn = 20
"""


def test_encoder(tmp_path: Path) -> None:
    """One track changes at a time, at the moment in which the shaft gets there and one step later;
    A is ahead forward and B backward, and turning round undoes change for change."""
    path = tmp_path / "node.toml"
    path.write_text(ENCODER)
    edges: list[tuple[float, str, bool]] = []

    def watch(name: str) -> Callable[[bool], None]:
        return lambda level: edges.append((clock.monotonic(), name, level))

    with SimClock() as clock:
        runtime, bench = assemble_simulated(make_plan(path), clock, Runtime)
        for name, line in (("a", "GPIO5"), ("b", "GPIO6")):
            bench.line(line).watch(watch(name))
        with runtime:
            drive: Any = runtime.devices["drive"]
            clock.advance(0.22)
            edges.clear()
            drive.speed.set(0.5)
            clock.advance(3)
            forward = list(edges)
            drive.speed.set(-0.5)
            clock.advance(6)
            motor = bench.worlds["motor"]
            turns = motor.turns
    assert [name for _, name, _ in forward[:4]] == ["a", "b", "a", "b"]
    first = [level for _, name, level in forward[:2] if name == "a"]
    assert [level for _, _, level in forward[:4]] == [*first, *first, not first[0], not first[0]]
    # At 1 turn a second 20 changes a second, from when it has its speed.
    times = [at_s for at_s, _, _ in forward[20:]]
    assert [b - a for a, b in pairwise(times)] == pytest.approx([0.05] * (len(times) - 1), abs=1e-4)
    count = 0
    for (_, last, was), (_, name, level) in pairwise(edges):
        ahead = (name == "b") is (level is was) if name != last else None
        count += {True: 1, False: -1, None: 0}[ahead]
    assert turns < -1
    assert count == pytest.approx(turns * 20, abs=2.5)


def test_too_fast(at: At) -> None:
    """An encoder that nobody could follow is refused, with both numbers."""
    with pytest.raises(InvalidValueError, match="full_speed_rps 100 times counts_per_turn 1000"):
        Motor(drive=at(0.0), full_speed_rps=100, counts_per_turn=1000)
