"""Pain 21: a call hangs, the process lives, and nobody notices that nothing is measured.

openhab/openhabian#50; opencast/pyCA#144; KR8MER/eas-station PR#2491; systemd/systemd#37288.
"""

from __future__ import annotations

import pytest

from edgekernel import Context, Quality, Service, message
from edgekernel.sim import SimClock
from tests.pains.conftest import MakeNode
from tests.pains.parts import HEATED_ROOM, Thermostat

NODE = (
    HEATED_ROOM
    + """
[devices.cellar]
driver = "ds18b20"
bus = "w1"
"""
)
FOR_EVER_S = 1e8
SHUTDOWN_S = 20


def test_poll_that_never_returns(make_node: MakeNode, clock: SimClock) -> None:
    """A read of the bus never returns, and the heater runs on yesterday's value: the readings are
    BAD in time, the heater is safe, others are measured on, and the node still stops."""
    node = make_node(NODE)
    node.runtime.register(Thermostat())
    node.bench.chip("room").temperature_c = 15.0
    with node.runtime:
        clock.advance(60)
        assert node.bench.is_on("heater")
        node.bus().slow(FOR_EVER_S, 0x76)
        clock.advance(7.1)  # every second, so after six at the latest, and one before
        assert not node.bench.is_on("heater")
        assert node.reading("room.temperature").sample.reason == "stale: not measured for 6 s"
        stale = [each.to_dict()["device"] for each in node.told(message.DeviceStale)]
        assert sorted(stale) == ["i2c1", "room"]
        node.bench.chip("cellar").temperature_c = 12.0
        clock.advance(24 * 3600)
        assert node.reading("cellar.temperature").value == 12.0
        assert node.reading("cellar.temperature").quality is Quality.GOOD
        assert not node.bench.is_on("heater")
        begun_s = clock.monotonic()
    assert clock.monotonic() - begun_s <= SHUTDOWN_S


class Pump(Service):
    """Something that must go on."""

    name = "pump"
    interval = 1.0

    def __init__(self, *, critical: bool) -> None:
        self.critical = critical
        self.hangs = False

    def tick(self, ctx: Context) -> None:
        """Never return, if it hangs."""
        if self.hangs:
            ctx.clock.Event().wait()


@pytest.mark.parametrize("critical", [False, True])
def test_hung_service(make_node: MakeNode, clock: SimClock, critical: bool) -> None:
    """A control loop is stuck while "running" is all that one sees: the watchdog names it, and if
    the loop is critical, the node goes to its safe state with that cause."""
    node = make_node(NODE)
    pump = Pump(critical=critical)
    node.runtime.register_service(pump)
    with node.runtime:
        clock.advance(10)
        node.output("heater.power").set(True)
        pump.hangs = True
        clock.advance(60)
        (hung,) = node.told(message.ServiceHung)
        assert isinstance(hung, message.ServiceHung)
        assert hung.service == "pump"
        assert node.bench.is_on("heater") is not critical
    down = node.told(message.RuntimeShutdown)
    assert len(down) == 1
    assert ("pump" in str(down[0])) is critical
