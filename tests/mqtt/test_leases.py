"""Leases over MQTT: in simulated time with the broker in the process, and on a real one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Event, Message, Process, Runtime, effect, requires
from edgekernel.core.device import Device
from edgekernel.core.errors import LifecycleError
from edgekernel.core.lease import LeaseTerms
from edgekernel.core.leases import Leases
from edgekernel.mqtt import MqttInterface
from edgekernel.mqtt.simulated import connect_simulated
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock
from edgekernel.sim.broker import Publication, SimBroker
from edgekernel.sim.faults import BrokerAway, Fault
from tests.brokers import Mosquitto, Watcher
from tests.mqtt.parts import Lamp, Seen, settings

BASE = "edge/bench"
TIMEOUT_S = 10.0
NODE = """
[node]
name = "bench"
board = "sim"

[devices.heater]
driver = "relay"
pin = "GPIO17"

[leases.controller]
timeout = "10s"
outputs = ["heater.power"]

[mqtt]
host = "broker.example"
"""


class Heating(Process):
    """Heats for as long as it may."""

    name = "heating"
    heater = requires(Device, id="heater")

    @effect
    def heat(self) -> None:
        """Want it always."""
        self.heater.outputs["power"].set(True)  # type: ignore[arg-type]  # a switch


class House:
    """A simulated node, and a controller that speaks through the broker."""

    def __init__(self, path: Path, stack: ExitStack, *faults: Fault) -> None:
        path.write_text(NODE, encoding="utf-8")
        plan = make_plan(path)
        self.clock = stack.enter_context(SimClock())
        self.broker = stack.enter_context(SimBroker(self.clock))
        self.runtime, self.bench = assemble_simulated(
            plan, self.clock, Runtime, faults=faults, broker=self.broker
        )
        self.runtime.register(Heating())
        connect_simulated(plan, self.runtime, self.broker, 0)
        self.events: list[Event] = []
        self.replies: list[dict[str, Any]] = []
        self.runtime.subscribe(Message, self.events.append)
        self.broker.watch(self._reply)
        stack.enter_context(self.runtime)
        self.clock.advance(1)

    def _reply(self, publication: Publication) -> None:
        if publication.topic == f"{BASE}/reply/me":
            self.replies.append(json.loads(publication.payload))

    def publish(self, topic: str, payload: str = "", *, retain: bool = False) -> None:
        """Publish beside the node, and give it a moment."""
        message = Publication(f"{BASE}/{topic}", payload.encode(), qos=1, retain=retain)
        self.broker.publish(message)
        self.clock.advance(0.01)

    @property
    def heats(self) -> bool:
        """Whether the pin of the heater is on."""
        return self.bench.is_on("heater")

    def times(self, name: str) -> list[float]:
        """Return when messages of a name were told."""
        return [event.monotonic for event in self.events if event.payload.name == name]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Give a stack that is unwound at the end."""
    with ExitStack() as stack:
        yield stack


def test_heartbeats_hold_it(tmp_path: Path, stack: ExitStack) -> None:
    """The heater is off until a controller says that it is there, on while it does, off 10 s
    after its last sign of life, and on again when it is back."""
    house = House(tmp_path / "node.toml", stack)
    assert not house.heats
    for _ in range(20):
        house.publish("lease/controller")
        house.clock.advance(9)
        assert house.heats
    last_s = house.clock.monotonic() - 9
    house.clock.advance(2)
    assert not house.heats
    assert house.times("lease.lost") == [pytest.approx(last_s + TIMEOUT_S, abs=0.02)]
    house.publish("lease/controller", '{"holder": "scada"}')
    assert house.heats
    house.publish("lease/controller", '{"holder": "scada", "release": true}')
    assert not house.heats


def test_broker_away(tmp_path: Path, stack: ExitStack) -> None:
    """The broker goes away, and with it the controller's signs of life: the heater is off within
    the stated time, and on again when both are back."""
    house = House(tmp_path / "node.toml", stack, Fault(BrokerAway(), at_s=100, for_s=600))
    heats: list[tuple[float, bool]] = []
    for _ in range(400):
        with suppress(LifecycleError):  # the broker is away: nobody can publish
            house.publish("lease/controller")
        house.clock.advance(2)
        heats.append((house.clock.monotonic(), house.heats))
    (away_s,), (back_s,) = house.times("fault.began"), house.times("fault.ended")
    (lost_s,), (_, held_s) = house.times("lease.lost"), house.times("lease.held")
    assert away_s < lost_s <= away_s + TIMEOUT_S
    assert back_s < held_s < back_s + 65  # the link comes back within a minute
    assert heats == [(at_s, not lost_s <= at_s < held_s) for at_s, _ in heats]


def test_a_retained_heartbeat_does_not_count(tmp_path: Path, stack: ExitStack) -> None:
    """What is published to be kept says nothing of a controller that lives, neither then nor later,
    and neither does the empty message that takes it off the broker."""
    house = House(tmp_path / "node.toml", stack, Fault(BrokerAway(keeps=True), at_s=50, for_s=20))
    house.publish("lease/controller", "{}", retain=True)
    assert not house.heats
    house.clock.advance(100)
    assert len(house.times("mqtt.connected")) == 2
    assert not house.heats
    refused = [e.payload.to_dict() for e in house.events if e.payload.name == "command.refused"]
    told = [(each["target"], each["code"]) for each in refused]
    assert told == [("lease.controller", "refused")] * 2
    house.publish("lease/controller", "", retain=True)
    assert not house.heats
    house.publish("lease/controller")
    assert house.heats


def test_refusals_say_what_is_missing(tmp_path: Path, stack: ExitStack) -> None:
    """A set is refused with the topic to publish to and how often; an unknown lease and a wrong
    payload are answered."""
    house = House(tmp_path / "node.toml", stack)
    me = f'"id": 1, "reply_to": "{BASE}/reply/me"'
    house.publish("set/heater/power", f'{{"value": true, {me}}}')
    house.publish("lease/controler", f"{{{me}}}")
    house.publish("lease/controller", f'{{"holder": 7, {me}}}')
    house.publish("lease/controller", f"{{{me}}}")
    errors = [each["error"] for each in house.replies[:3]]
    assert [each["code"] for each in errors] == ["no_lease", "unknown", "invalid"]
    assert errors[0]["message"] == (
        "heater.power: not set to True: lease controller is not held: "
        "publish to edge/bench/lease/controller every 10 s"
    )
    assert house.replies[3] == {"id": 1, "ok": True, "result": None}


def test_the_same_id_again_renews(tmp_path: Path, stack: ExitStack) -> None:
    """A controller that always sends the very same bytes holds the lease all the same."""
    house = House(tmp_path / "node.toml", stack)
    for _ in range(5):
        house.publish("lease/controller", '{"id": "beat"}')
        house.clock.advance(8)
    assert house.heats


def test_on_a_real_broker(broker: Mosquitto, watcher: Watcher) -> None:
    """Through mosquitto, a heartbeat holds the lease and a command renews it; lost, the lamp is
    off."""
    runtime = Runtime(name="n1")
    lamp, seen = Lamp("lamp"), Seen(runtime)
    leases = Leases(runtime, {"hand": LeaseTerms(1.0, ("lamp.power",))})
    for part in (lamp, leases, MqttInterface(settings(broker.port))):
        runtime.register(part)
    reply = {"id": 1, "reply_to": "edge/n1/reply/me"}
    with runtime:
        seen.wait("mqtt.connected")
        watcher.publish("edge/n1/lease/hand", "")
        seen.wait("lease.held")
        renew = {"args": {"lease": "hand"}, **reply}
        watcher.publish("edge/n1/call/leases/renew", renew)
        assert watcher.on("edge/n1/reply/me", id=1).document["result"]["held"] is True
        watcher.publish("edge/n1/set/lamp/power", "on")
        watcher.on("edge/n1/state/lamp", power=True)
        watcher.on("edge/n1/event/lease-lost")
        watcher.on("edge/n1/state/lamp", power=False)
