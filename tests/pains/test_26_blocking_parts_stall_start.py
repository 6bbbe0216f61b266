"""Also frequent: one part that blocks keeps the whole program from starting, for 3,604 seconds.

kizniche/Mycodo#1074.
"""

from __future__ import annotations

import pytest

from edgekernel import Context, Device, Service, message, output
from edgekernel.core.errors import HeldSafeError
from edgekernel.sim import SimClock
from tests.pains.conftest import MakeNode, Node

NODE = """
[devices.lamp]
driver = "relay"
pin = "GPIO17"

[devices.room]
driver = "bme280"
bus = "i2c1"
address = 0x76
optional = true

[devices.dust]
driver = "pms5003"
port = "uart0"
optional = true

[devices.desk]
driver = "bh1750"
bus = "i2c1"
optional = true
"""
START_S = 20.0


class Slow(Service):
    """Waits for something that comes after an hour."""

    name = "slow"

    def start(self, ctx: Context) -> None:
        """Wait."""
        ctx.clock.sleep(3604)


class Vendor(Device):
    """Comes with a library that waits for its hardware for an hour."""

    power = output(bool, safe=False)

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.driven: list[bool] = []

    def connect(self) -> None:
        """Wait."""
        self.clock.sleep(3604)

    @power.drive
    def drive(self, value: bool) -> bool:
        """Switch."""
        self.driven.append(value)
        return value


def started_in_s(node: Node, clock: SimClock) -> float:
    """Boot; return how long that took."""
    begun_s = clock.monotonic()
    node.runtime.boot()
    return clock.monotonic() - begun_s


def test_hardware_that_hangs(make_node: MakeNode, clock: SimClock) -> None:
    """A chip hangs, a second is silent, an adapter is not plugged in, all marked optional: the node
    is up within seconds, switches, says what is missing, and takes each in when it is there."""
    node = make_node(NODE)
    node.bus().hang(0x76)
    node.bus().refuse(0x23, times=None)
    node.backend.port("uart0").present = False
    assert started_in_s(node, clock) < START_S
    node.output("lamp.power").set(True)
    assert node.bench.is_on("lamp")
    assert sorted(node.runtime.status()["degraded"]) == ["desk", "dust", "room"]
    node.bus().heal()
    node.backend.port("uart0").present = True
    clock.advance(300)
    assert node.runtime.status()["degraded"] == []
    assert node.reading("desk.illuminance").value == pytest.approx(
        node.bench.chip("desk").illuminance_lx, rel=0.01
    )
    node.runtime.shutdown("end of the test")


def test_service_that_blocks(make_node: MakeNode, clock: SimClock) -> None:
    """A service waits an hour in its `start`: everything else has started meanwhile, and the one
    that hangs is named."""
    node = make_node(NODE)
    node.runtime.register_service(Slow())
    assert started_in_s(node, clock) < START_S
    node.output("lamp.power").set(True)
    clock.advance(15)
    assert node.reading("room.temperature").value == pytest.approx(
        node.bench.chip("room").temperature_c, abs=0.1
    )
    (hung,) = node.told(message.ServiceHung)
    assert hung.to_dict()["service"] == "slow"
    node.runtime.shutdown("end of the test")
    assert not node.bench.is_on("lamp")


def test_driver_that_blocks(make_node: MakeNode, clock: SimClock) -> None:
    """A driver waits an hour in its `connect`: the node is up within seconds, switches and
    measures, and says which one is missing; its output is refused, and begins safe an hour later,
    when the driver is in order by itself."""
    node = make_node(NODE)
    node.runtime.attach_device(gateway := Vendor("gateway"), optional=True)
    assert started_in_s(node, clock) < START_S
    node.output("lamp.power").set(True)
    assert node.bench.is_on("lamp")
    clock.advance(15)
    assert node.reading("room.temperature").value == pytest.approx(
        node.bench.chip("room").temperature_c, abs=0.1
    )
    assert node.runtime.status()["degraded"] == ["gateway"]
    reason = node.runtime.health()["parts"]["gateway"]["reason"]
    assert "gateway: its connect has not returned for 10 s" in reason
    with pytest.raises(HeldSafeError, match="its connect has not returned"):
        gateway.power.set(True)
    clock.advance(3600)
    assert node.runtime.status()["degraded"] == []
    assert (gateway.online, gateway.driven) == (True, [False])
    node.runtime.shutdown("end of the test")
