"""Broker: the MQTT broker of a simulation, and nodes on it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgekernel.core.errors import InvalidValueError, LifecycleError
from edgekernel.sim.faults import AgentKilled, BrokerHalfOpen, Fault, FaultKind, PowerCut
from edgekernel.testing import Node, Simulation
from edgekernel.testing.node import start_node
from tests.testing.conftest import SHED

LINKED = SHED + '\n[mqtt]\nhost = "broker.example"\nusername = "me"\npassword_file = "not-here"\n'


@pytest.fixture
def shed(simulation: Simulation) -> Node:
    """A node on the simulation's broker."""
    node = start_node(simulation, LINKED, Path())
    simulation.broker.wait_for("edge/shed/status", state="online", within=1)
    return node


def test_a_node_with_mqtt_is_on_the_broker(simulation: Simulation, shed: Node) -> None:
    """Its status and states are retained there, and its events come; no password is needed."""
    broker = simulation.broker
    assert broker.retained["edge/shed/status"]["state"] == "online"
    assert broker.retained["edge/shed/state/fan"]["power"]["value"] is False
    shed.press("knob")
    pressed = broker.wait_for("edge/shed/event/button-pressed", within=1)
    assert pressed.document["fields"] == {"device": "knob"}
    assert not pressed.retain
    assert shed.runtime.status()


def test_a_node_is_asked(simulation: Simulation, shed: Node) -> None:
    """A request is answered, or refused with the reason, and the state follows."""
    broker = simulation.broker
    reply = broker.ask("edge/shed/set/fan/power", value=True)
    assert reply["ok"] is True
    assert shed.is_on("fan")
    assert broker.wait_for("edge/+/state/fan", power=True, within=1).topic == "edge/shed/state/fan"
    assert broker.ask("edge/shed/set/fna/power", value=True)["error"]["code"] == "unknown"
    with pytest.raises(InvalidValueError, match="requests go to <node>/set/"):
        broker.ask("edge/shed/state/fan")


def test_a_client_publishes(simulation: Simulation, shed: Node) -> None:
    """Text and bytes go as they are, the rest as JSON; what is retained stays."""
    broker = simulation.broker
    broker.publish("edge/shed/set/fan/power", "on")
    broker.publish("weather", {"celsius": 12.5}, retain=True)
    broker.publish("raw", b"\xff", qos=0)
    simulation.run(1)
    assert shed.is_on("fan")
    assert broker.retained["weather"] == {"celsius": 12.5}
    assert [each.payload for each in broker.of("raw")] == [b"\xff"]
    assert broker.of("weather", celsius=12.5)[0].retain
    broker.clear()
    assert broker.of() == []
    assert "weather" in broker.retained


def test_what_does_not_come_is_told(simulation: Simulation, shed: Node) -> None:
    """The failure names what was asked for, until when it was waited, and what came instead."""
    simulation.broker.clear()
    shed.fan.power.set(True)
    with pytest.raises(
        AssertionError,
        match=re.escape("edge/+/state/fan (power='green') was not published within 2 s (now ")
        + r".*\n  others were:\n .*edge/shed/state/fan b'",
    ):
        simulation.broker.wait_for("edge/+/state/fan", power="green", within=2)


def test_a_broker_that_goes_away(simulation: Simulation, shed: Node) -> None:
    """The server is stopped and started: the node tells, and comes back with all it has."""
    simulation.broker.server.stop()
    shed.events.assert_emitted("mqtt.disconnected", within=1)
    with pytest.raises(LifecycleError, match="the broker is away"):
        simulation.broker.publish("a", "")
    simulation.run(100)
    shed.fan.power.set(True)
    simulation.broker.server.start()
    shed.events.clear()
    shed.events.assert_emitted("mqtt.connected", within=61)
    simulation.run(1)
    assert simulation.broker.retained["edge/shed/state/fan"]["power"]["value"] is True


def test_a_plan_lets_the_broker_fail(simulation: Simulation) -> None:
    """The broker's faults are played like the others: the will is there, and the node again."""
    plan = [Fault(BrokerHalfOpen(), at_s=100, for_s=100)]
    shed = start_node(simulation, LINKED, Path(), faults=plan)
    status = simulation.broker.wait_for("edge/shed/status", state="offline", within=146)
    assert status.document["cause"] == "connection lost"
    shed.events.assert_emitted("mqtt.disconnected", within=100)
    simulation.broker.wait_for("edge/shed/status", cause="reconnected", within=200)


@pytest.mark.parametrize(("kind", "after_s"), [(AgentKilled(), 0.0), (PowerCut(), 46.0)])
def test_a_dead_agent_is_seen_and_comes_back(
    simulation: Simulation, kind: FaultKind, after_s: float
) -> None:
    """The last will comes at once when a process is killed, whose connections the kernel closes;
    of a computer without power the broker hears nothing. The next start is online again."""
    shed = start_node(simulation, LINKED, Path(), faults=[Fault(kind, at_s=100, for_s=60)])
    will = simulation.broker.wait_for("edge/shed/status", state="offline", within=200)
    assert will.document["cause"] == "connection lost"
    begun_s = next(e.monotonic for e in simulation.events if e.payload.name == "runtime.booted")
    assert after_s * 0.6 <= will.at_s - begun_s - 100 <= after_s + 0.1
    simulation.broker.clear()
    simulation.broker.wait_for("edge/shed/status", cause="started", within=100)
    assert simulation.broker.ask("edge/shed/set/fan/power", value=True)["ok"]
    assert shed.is_on("fan")
    assert len(simulation.broker.server.connections) == 1


def test_two_nodes_meet(simulation: Simulation, shed: Node) -> None:
    """All nodes of a simulation are on one broker."""
    start_node(simulation, LINKED.replace('"shed"', '"barn"'), Path())
    simulation.run(1)
    states = [topic for topic in simulation.broker.retained if topic.endswith("/status")]
    assert sorted(states) == ["edge/barn/status", "edge/shed/status"]
    assert repr(simulation.broker) == "<Broker with 2 clients>"


def test_a_shutdown_is_a_goodbye(simulation: Simulation, shed: Node) -> None:
    """The status says offline and why, without a last will."""
    shed.runtime.shutdown("maintenance")
    assert simulation.broker.retained["edge/shed/status"]["cause"] == "maintenance"
    assert simulation.broker.server.counts.wills == 0


def test_without_mqtt_there_is_no_broker(simulation: Simulation) -> None:
    """A node without the table costs nothing: no broker is made."""
    start_node(simulation, SHED, Path())
    simulation.run(1)
    assert not [each for each in simulation.clock.waiting() if "mqtt" in each]


def test_two_runs_say_the_same() -> None:
    """Each run publishes the same bytes at the same times: boot ids and delays too."""

    def run() -> list[object]:
        simulation = Simulation(seed=4)
        start_node(simulation, LINKED, Path())
        simulation.run(5)
        simulation.broker.server.stop()
        simulation.run(60)
        simulation.broker.server.start()
        simulation.run(60)
        said: list[object] = list(simulation.broker.of())
        assert simulation.close() == []
        return said

    first = run()
    assert len(first) > 15
    assert run() == first
