"""Pain 22: a board without a clock boots in the past, then time jumps, and every timer with it.

rpj/rpi#14; OctoPrint/OctoPrint#3266; guysoft/OctoPi#606; raspberrypi/linux#1751;
stratopi-org/stratopi#1.
"""

from __future__ import annotations

import pytest

from edgekernel import Context, Service
from edgekernel.sim import SimClock
from tests.pains.conftest import MakeNode
from tests.pains.parts import HEATED_ROOM

NODE = (
    HEATED_ROOM
    + """
[devices.heater.outputs.power]
min_on = "60s"
max_on = "10min"
"""
)
DAY_S = 86_400.0


class Ticker(Service):
    """Notes when it ticks."""

    name = "ticker"
    interval = 1.0

    def __init__(self) -> None:
        self.times_ns: list[int] = []

    def tick(self, ctx: Context) -> None:
        """Note it."""
        self.times_ns.append(ctx.clock.monotonic_ns())


@pytest.mark.parametrize("step_s", [-3600.0, 3 * 3600.0, 20_000 * DAY_S])
def test_time_is_set(make_node: MakeNode, clock: SimClock, step_s: float) -> None:
    """Time is set by hours or decades, and a heater goes off at once or never, a loop stands still
    or races: ticks, polls and limits go by the monotonic time and notice nothing."""
    node, ticker = make_node(NODE), Ticker()
    node.runtime.register_service(ticker)
    with node.runtime:
        clock.advance(5)
        node.output("heater.power").set(True)
        clock.advance(30)
        clock.step_wall(step_s)
        node.output("heater.power").set(False)
        assert node.output("heater.power").pending is False
        clock.advance(29)
        assert node.bench.is_on("heater")
        clock.advance(2)
        assert not node.bench.is_on("heater")
        node.output("heater.power").set(True)
        clock.advance(599)
        assert node.bench.is_on("heater")
        clock.advance(2)
        assert not node.bench.is_on("heater")
        node.reading("room.temperature").value  # noqa: B018  # raises if it were stale
        gaps = {b - a for a, b in zip(ticker.times_ns, ticker.times_ns[1:], strict=False)}
        assert gaps == {1_000_000_000}
