"""Faults of the wall clock: it steps and drifts, and nobody who waits notices."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel import Runtime, SystemClock
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim.faults import ClockDrift, ClockStep, Fault
from tests.sim.faults.conftest import NODE, Play


@pytest.mark.parametrize("by", [3 * 3600.0, -90.0])
def test_step(play: Play, by: float) -> None:
    """The wall time is stepped once; polls go on at their times, and readings stay GOOD."""
    node = play(Fault(ClockStep(by=by), at_s=30))
    node.clock.advance(20)
    before = node.clock.now_utc()
    node.clock.advance(60)
    assert (node.clock.now_utc() - before).total_seconds() == pytest.approx(60 + by)
    assert not node.told("device.offline")
    assert not node.told("device.stale")
    assert not node.told("fault.ended")


def test_drift(play: Play) -> None:
    """The wall time goes faster as long as the fault lasts."""
    node = play(Fault(ClockDrift(ppm=1000), at_s=0, for_s=1000))
    before_s, wall = node.clock.monotonic(), node.clock.now_utc()
    node.clock.advance(3000)
    gained_s = (node.clock.now_utc() - wall).total_seconds() - 3000
    assert node.clock.monotonic() - before_s == pytest.approx(3000)
    assert gained_s == pytest.approx(1.0, abs=0.001)


def test_real_clock(tmp_path: Path) -> None:
    """The clock of this computer is left alone: the fault is refused before anything starts."""
    path = tmp_path / "node.toml"
    path.write_text(NODE)
    with pytest.raises(ValueError, match="clock_step: not possible in this run: it is on the real"):
        assemble_simulated(make_plan(path), SystemClock(), Runtime, faults=[Fault(ClockStep(5))])
