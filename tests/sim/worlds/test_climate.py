"""The climate: a day's swing, where it is measured and when it is coldest."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgekernel import Runtime
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import Sensor, SimClock
from edgekernel.sim.worlds import Climate

NODE = """
[node]
name = "bench"
board = "sim"

[devices.outdoor]
driver = "ds18b20"
bus = "w1"
every = "1min"

[sim]
worlds.weather = { kind = "climate", mean_c = 5, swing_k = 4, sensor = "outdoor.temperature_c" }
"""


def test_day() -> None:
    """It is coldest at its hour, warmest half a day later, and the same the next day."""
    seen: list[float] = []
    sensor = Sensor("outdoor", seen.append, float)
    climate = Climate(mean_c=5, swing_k=4, coldest_at_s=4 * 3600, sensor=sensor)
    for _ in range(24):
        climate.step(3600)
    assert seen[4] == pytest.approx(1)
    assert seen[16] == pytest.approx(9)
    assert seen[24] == pytest.approx(seen[0])


def test_time_of_day_is_the_clocks(tmp_path: Path) -> None:
    """A node that starts at four o'clock starts at the coldest moment, which its driver reads."""
    node = tmp_path / "node.toml"
    node.write_text(NODE)
    with SimClock(datetime(2026, 5, 1, 4, tzinfo=UTC)) as clock:
        runtime, _ = assemble_simulated(make_plan(node), clock, Runtime)
        with runtime:
            outdoor = runtime.devices["outdoor"].readings["temperature"]
            clock.advance(70)
            assert outdoor.value == pytest.approx(1, abs=0.07)
            clock.advance(12 * 3600)
            assert outdoor.value == pytest.approx(9, abs=0.07)
