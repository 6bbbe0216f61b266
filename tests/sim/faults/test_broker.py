"""Faults of the broker and of the links to it, and what a node makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Event, Message, Process, Runtime, command
from edgekernel.mqtt.simulated import connect_simulated
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock
from edgekernel.sim.broker import Publication, SimBroker
from edgekernel.sim.faults import (
    BrokerAway,
    BrokerDuplicates,
    BrokerHalfOpen,
    BrokerLate,
    BrokerRefuses,
    BrokerSlow,
    Fault,
    FaultKind,
)
from tests.sim.faults.conftest import NODE

BASE = "edge/bench"
KEEPALIVE_S = 30.0
DAY_S = 86400.0

LINKED = """
[node]
name = "bench"
board = "sim"

[devices.heater]
driver = "relay"
pin = "GPIO17"

[devices.room]
driver = "bme280"
bus = "i2c1"
every = "10s"

[sim.worlds.weather]
kind = "climate"
sensor = "room.temperature_c"

[mqtt]
host = "broker.example"
keepalive = 30
"""


class Bell(Process):
    """Counts how often it is rung."""

    name = "bell"
    rung = 0

    @command
    def ring(self) -> int:
        """Ring once more."""
        self.rung += 1
        return self.rung


@dataclass
class Linked:
    """A running node on a broker, with a plan that is played on both."""

    clock: SimClock
    runtime: Runtime
    broker: SimBroker
    bell: Bell
    events: list[Event] = field(default_factory=list)
    published: list[tuple[float, Publication]] = field(default_factory=list)

    @property
    def heater(self) -> Any:
        """The heater."""
        return self.runtime.devices["heater"]

    def told(self, name: str) -> list[tuple[float, dict[str, Any]]]:
        """Return the times since the plan began, and the fields, of messages of a name."""
        return [
            (event.monotonic, event.payload.to_dict())
            for event in self.events
            if event.payload.name == name
        ]

    def at(self, topic: str) -> list[tuple[float, Any]]:
        """Return the times and documents of what was published on a topic of the node."""
        return [
            (at_s, json.loads(publication.payload))
            for at_s, publication in self.published
            if publication.topic == f"{BASE}/{topic}"
        ]

    def retained(self, topic: str) -> Any:
        """Return the retained document of a topic of the node."""
        return json.loads(self.broker.retained[f"{BASE}/{topic}"].payload)

    def ask(self, topic: str, **body: Any) -> None:
        """Publish a request beside the node's link."""
        payload = json.dumps({**body, "reply_to": f"{BASE}/reply/me"}).encode()
        self.broker.publish(Publication(f"{BASE}/{topic}", payload, qos=1))

    def is_right(self) -> None:
        """Check that the broker shows the node as it is: online, with its states."""
        assert self.retained("status")["state"] == "online"
        assert self.retained("state/heater")["power"]["value"] is self.heater.power.get()
        room: Any = self.runtime.devices["room"]
        shown = self.retained("state/room")["temperature"]["value"]
        assert shown == pytest.approx(room.temperature.value, abs=0.01)


Link = Callable[..., Linked]


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    """Give a function that starts a node with a plan; it is shut down at the end."""
    with ExitStack() as stack:

        def link(*faults: Fault, seed: int = 0, node: str = LINKED) -> Linked:
            path = tmp_path / "node.toml"
            path.write_text(node)
            plan = make_plan(path)
            clock = stack.enter_context(SimClock())
            broker = stack.enter_context(SimBroker(clock))
            runtime, _ = assemble_simulated(
                plan, clock, Runtime, faults=faults, seed=seed, broker=broker
            )
            linked = Linked(clock, runtime, broker, Bell())
            runtime.register(linked.bell)
            connect_simulated(plan, runtime, broker, seed)
            runtime.subscribe(Message, linked.events.append)
            broker.watch(lambda p: linked.published.append((clock.monotonic(), p)))
            stack.enter_context(runtime)
            return linked

        yield link


def test_away_for_a_day(link: Link) -> None:
    """It is told once, the node goes on, and within a minute of the broker's return everything on
    it is right, though it had lost all; the events that found no room are counted."""
    node = link(Fault(BrokerAway(), at_s=100, for_s=DAY_S))
    node.clock.advance(100 + DAY_S / 2)
    assert node.broker.connections == []
    assert len(node.told("mqtt.disconnected")) == len(node.told("mqtt.problem")) == 1
    assert "connection refused" in node.told("mqtt.problem")[0][1]["error"]
    node.heater.power.set(True)
    for _ in range(1500):
        node.runtime.invoke("bell.ring")
    node.clock.advance(DAY_S / 2 + 60)
    (began_s, _), (ended_s, _) = node.told("fault.began")[0], node.told("fault.ended")[0]
    assert ended_s - began_s == DAY_S
    assert [at_s for at_s, _ in node.told("mqtt.connected")][1] <= ended_s + 60
    node.is_right()
    assert node.retained("status")["cause"] == "reconnected"
    assert node.told("mqtt.events.dropped")[0][1]["dropped"] >= 500
    seqs = [event["seq"] for at_s, event in node.at("event/command-done") if at_s > ended_s]
    assert len(seqs) > 900
    assert seqs == sorted(seqs)


def test_away_and_back_with_all_it_had(link: Link) -> None:
    """A broker that keeps what it had shows a node that is online until that is true again."""
    node = link(Fault(BrokerAway(keeps=True), at_s=100, for_s=600))
    node.clock.advance(101)
    assert node.retained("status")["state"] == "online"  # nobody is there to publish a will
    node.clock.advance(700)
    assert node.broker.counts.wills == 0
    node.is_right()


def test_half_open(link: Link) -> None:
    """Nobody says that the link is dead: the broker finds out by its keep-alive and publishes the
    will, the node by answers that stay out, each within 1.5 keep-alives; then it comes back."""
    node = link(Fault(BrokerHalfOpen(), at_s=100, for_s=300))
    node.clock.advance(200)
    (began_s, _) = node.told("fault.began")[0]
    (lost_s, lost) = node.told("mqtt.disconnected")[0]
    assert lost["reason"] == "no answer for 15 s"
    assert lost_s - began_s <= 1.5 * KEEPALIVE_S
    (offline_s, status) = node.at("status")[1]
    assert (status["state"], status["cause"]) == ("offline", "connection lost")
    assert offline_s - began_s <= 1.5 * KEEPALIVE_S
    assert "no answer; check the network" in node.told("mqtt.problem")[0][1]["error"]
    node.heater.power.set(True)
    node.clock.advance(300)
    (ended_s, _) = node.told("fault.ended")[0]
    assert node.at("status")[2][0] - ended_s <= 65
    node.is_right()


def test_half_open_on_an_idle_node(link: Link) -> None:
    """A node that has nothing to tell finds it out too, by asking for a sign of life."""
    idle = '[node]\nname = "bench"\nboard = "sim"\n[mqtt]\nhost = "b"\nkeepalive = 30\n'
    node = link(Fault(BrokerHalfOpen(), at_s=1000, for_s=300), node=idle)
    node.clock.advance(999)
    assert len(node.told("mqtt.connected")) == 1
    assert node.broker.connections
    node.clock.advance(100)
    (lost_s, _) = node.told("mqtt.disconnected")[0]
    assert lost_s - node.told("fault.began")[0][0] <= 1.5 * KEEPALIVE_S


def test_duplicates(link: Link) -> None:
    """A command that is delivered twice acts once and is answered twice; without an id nobody can
    tell it from a second one; a set that comes late once more changes nothing."""
    node = link(Fault(BrokerDuplicates(share=1.0), at_s=0, for_s=100))
    node.clock.advance(10)
    node.ask("call/bell/ring", id="one")
    node.clock.advance(1)
    assert node.bell.rung == 1
    assert [reply["result"] for _, reply in node.at("reply/me")] == [1, 1]
    node.ask("call/bell/ring")
    node.clock.advance(1)
    assert node.bell.rung == 3
    node.ask("set/heater/power", id="on", value=True)
    node.clock.advance(1)
    assert node.heater.power.get() is True
    node.clock.advance(100)
    node.ask("call/bell/ring", id="two")
    node.clock.advance(1)
    assert node.bell.rung == 4
    node.is_right()


def test_duplicates_by_chance(link: Link) -> None:
    """A share of them comes twice, the same ones for the same seed."""

    def rung(seed: int) -> int:
        node = link(Fault(BrokerDuplicates(share=0.25), at_s=0), seed=seed)
        node.clock.advance(10)
        for _ in range(100):
            node.ask("call/bell/ring")
            node.clock.advance(0.1)
        return node.bell.rung

    assert rung(1) == rung(1)
    assert 105 <= rung(1) <= 150
    assert rung(1) != rung(2)


def test_late(link: Link) -> None:
    """Messages come late and in order: the last state stands, and a command that has expired on its
    way is refused with a reply."""
    node = link(Fault(BrokerLate(by=8.0), at_s=10, for_s=300))
    node.clock.advance(20)
    node.published.clear()
    for number in range(40):
        node.heater.power.set(number % 2 == 1)
        node.clock.advance(1)
    for number in range(20):
        issued_at = node.clock.now_utc().isoformat()
        node.ask("call/bell/ring", id=number, issued_at=issued_at, ttl=5)
        node.clock.advance(4)
    node.clock.advance(60)
    replies = [reply for _, reply in node.at("reply/me")]
    refused = [each["error"]["code"] for each in replies if not each["ok"]]
    assert set(refused) == {"expired"}
    assert node.bell.rung == 20 - len(refused) > 0
    times = [each["power"]["time"] for _, each in node.at("state/heater")]
    assert times == sorted(times)
    node.clock.advance(300)
    node.is_right()
    assert not node.told("mqtt.disconnected")


def test_slow(link: Link) -> None:
    """Late acknowledgements keep the link up as long as they come within half a keep-alive; states
    that change meanwhile are told once, as they are then."""
    node = link(Fault(BrokerSlow(takes=10.0), at_s=10, for_s=600))
    node.clock.advance(300)
    node.published.clear()
    for number in range(100):
        node.heater.power.set(number % 2 == 0)
    node.heater.power.set(True)
    node.clock.advance(60)
    assert 2 < len(node.at("state/heater")) < 30
    assert node.at("state/heater")[-1][1]["power"]["value"] is True
    assert not node.told("mqtt.disconnected")
    node.is_right()


def test_too_slow(link: Link) -> None:
    """A broker that answers after that counts as gone; the node tries again until it is well."""
    node = link(Fault(BrokerSlow(takes=60.0), at_s=10, for_s=600))
    node.clock.advance(600)
    assert node.told("mqtt.disconnected")[0][1]["reason"] == "no answer for 15 s"
    node.clock.advance(200)
    node.is_right()


def test_refuses(link: Link) -> None:
    """A node that is let in no more says what to check, once, and is back when it is."""
    node = link(Fault(BrokerRefuses(), at_s=100, for_s=600))
    node.clock.advance(600)
    (problem,) = [fields["error"] for _, fields in node.told("mqtt.problem")]
    assert "refused the connection: not authorized" in problem
    assert node.retained("status")["state"] == "offline"
    assert node.broker.counts.refused > 3
    node.clock.advance(200)
    node.is_right()


@pytest.mark.parametrize(
    "kind",
    [
        BrokerAway(),
        BrokerDuplicates(),
        BrokerHalfOpen(),
        BrokerLate(),
        BrokerRefuses(),
        BrokerSlow(),
    ],
    ids=lambda kind: str(kind.word),
)
def test_without_a_broker(tmp_path: Path, kind: FaultKind) -> None:
    """Where none takes part the plan is refused, with what to look at."""
    path = tmp_path / "node.toml"
    path.write_text(NODE)
    with SimClock() as clock, pytest.raises(ValueError, match=r"does the node file have an \[mqtt"):
        assemble_simulated(make_plan(path), clock, Runtime, faults=[Fault(kind)])
