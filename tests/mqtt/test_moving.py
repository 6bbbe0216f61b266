"""A node that moves between brokers: what each of them says of it; in simulated time, and on real
ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Runtime
from edgekernel.mqtt import MqttInterface
from edgekernel.mqtt.transport import Medium, Server
from edgekernel.sim.broker import Publication
from tests.brokers import HOST, Mosquitto, watching
from tests.mqtt.brokers_sim import KEEPALIVE_S, Several
from tests.mqtt.parts import Lamp, Seen, node

AFTER_S = 60.0
STATUS = "edge/n1/status"
LAMP = "edge/n1/state/lamp"


@pytest.fixture
def several() -> Iterator[Several]:
    """Three brokers."""
    with ExitStack() as stack:
        yield Several(stack)


class Moving:
    """A node with a lamp."""

    def __init__(self, several: Several) -> None:
        self.runtime = Runtime(name="n1", clock=several.clock)
        self.lamp = Lamp("lamp")
        settings = several.settings("ab", back_after_s=AFTER_S)
        self.interface = MqttInterface(settings, medium=Medium(several.transport, "test"))
        self.runtime.register(self.lamp)
        self.runtime.register(self.interface)
        self.seen = Seen(self.runtime)
        self._several = several

    def said(self, name: str) -> list[str]:
        """Return of which brokers a message has told."""
        return [fields["broker"] for fields in self.seen.of(name)]

    def on(self, host: str, topic: str) -> Any:
        """Return what is retained on a broker."""
        kept = self._several.brokers[host].retained
        return json.loads(kept[topic].payload) if topic in kept else None


@contextmanager
def moving(several: Several) -> Iterator[Moving]:
    """Run a node for which "a" is preferred to "b"."""
    made = Moving(several)
    with made.runtime:
        yield made


def test_there_and_back(several: Several) -> None:
    """Each broker has the right status and states while the node is on it; one that it leaves in
    good order is told so; messages and status name the broker."""
    with moving(several) as node:
        several.clock.advance(20)
        several.brokers["a"].stop()
        several.clock.advance(5)
        assert node.interface.status()["broker"] == "b:1883"
        assert node.on("b", STATUS)["state"] == "online"
        node.lamp.power.set(True)
        several.clock.advance(1)
        assert node.on("b", LAMP)["power"]["value"] is True

        several.brokers["a"].start()
        several.clock.advance(90)
        assert node.interface.status()["broker"] == "a:1883"
        left = node.on("b", STATUS)
        assert (left["state"], left["cause"]) == ("offline", "a:1883 is back")
        assert several.brokers["b"].counts.wills == 0
        here = node.on("a", STATUS)
        assert (here["state"], here["cause"]) == ("online", "reconnected")
        assert node.on("a", LAMP)["power"]["value"] is True
        assert {f"edge/n1/{each}" for each in ("info", "schema")} <= several.brokers[
            "a"
        ].retained.keys()

        assert node.said("mqtt.connected") == ["a:1883", "b:1883", "a:1883"]
        assert node.said("mqtt.disconnected") == ["a:1883", "b:1883"]
        assert node.said("mqtt.problem") == ["a:1883"]
    assert node.on("a", STATUS)["state"] == "offline"


def test_the_preferred_one_dies_on_the_way(several: Several) -> None:
    """A node that has said goodbye for a broker that is gone again comes back, online."""

    def gone_again(publication: Publication) -> None:
        if publication.topic == STATUS and b'"a:1883 is back"' in publication.payload:
            several.brokers["a"].stop()

    several.brokers["b"].watch(gone_again)
    with moving(several) as node:
        several.clock.advance(20)
        several.brokers["a"].stop()
        several.clock.advance(5)
        several.brokers["a"].start()
        several.clock.advance(90)
        states = [json.loads(each)["state"] for each in several.payloads("b", STATUS)]
        assert states == ["online", "offline", "online"]
        assert node.on("b", STATUS)["state"] == "online"
        assert node.interface.status()["connected"]


def test_an_unreachable_broker_publishes_the_will(several: Several) -> None:
    """A broker that the node cannot reach any more says by itself that it is offline."""
    with moving(several) as node:
        several.clock.advance(20)
        several.brokers["a"].troubles.dead_air = True
        several.brokers["a"].deaden()
        several.clock.advance(2 * KEEPALIVE_S)
        assert node.on("b", STATUS)["state"] == "online"
        gone = node.on("a", STATUS)
        assert (gone["state"], gone["cause"]) == ("offline", "connection lost")


def test_a_broker_that_has_kept_an_old_status(several: Several) -> None:
    """One that died with the status on its disk says online until the node is back, with the old
    time; then the time is that of the return."""
    with moving(several) as node:
        several.clock.advance(20)
        before = node.on("a", STATUS)
        several.brokers["a"].stop(forget=False)
        several.clock.advance(20)
        several.brokers["a"].start()
        several.clock.advance(30)
        assert node.on("a", STATUS) == before
        several.clock.advance(AFTER_S)
        after = node.on("a", STATUS)
        assert (after["state"], after["cause"]) == ("online", "reconnected")
        assert after["since"] > before["since"]


def test_leftovers_are_cleared_on_each(several: Several) -> None:
    """States of devices that are no more go from every broker that the node comes to, once each."""
    for host in "ab":
        several.brokers[host].publish(Publication("edge/n1/state/old", b"{}", 1, True))
    with moving(several) as node:
        several.clock.advance(20)
        assert node.on("a", "edge/n1/state/old") is None
        assert node.on("b", "edge/n1/state/old") == {}
        several.brokers["a"].stop(forget=False)
        several.clock.advance(5)
        assert node.on("b", "edge/n1/state/old") is None
        several.brokers["a"].start()
        several.brokers["a"].publish(Publication("edge/n1/state/later", b"{}", 1, True))
        several.clock.advance(90)
        assert node.interface.status()["broker"] == "a:1883"
        assert node.on("a", "edge/n1/state/later") == {}


def test_a_request_that_is_repeated_at_the_next_broker(several: Several) -> None:
    """It is carried out once, wherever it comes: an id is known on every broker."""
    body = json.dumps({"value": True, "id": "1", "reply_to": "edge/n1/reply/me"}).encode()
    request = Publication("edge/n1/set/lamp/power", body, 1)
    with moving(several) as node:
        several.clock.advance(20)
        several.brokers["a"].publish(request)
        several.clock.advance(1)
        several.brokers["a"].stop()
        several.clock.advance(5)
        node.lamp.power.set(False)
        several.brokers["b"].publish(request)
        several.clock.advance(1)
        assert node.lamp.power.value is False
        replies = [several.payloads(host, "edge/n1/reply/me") for host in "ab"]
    assert len(replies[0]) == 1
    assert replies[0] == replies[1]


def test_on_real_brokers(tmp_path: Path) -> None:
    """Of two mosquittos the preferred one is killed and started again: the node is on the other
    meanwhile, and then back, and both say so."""
    one, two = (tmp_path / each for each in ("one", "two"))
    one.mkdir()
    two.mkdir()
    preferred, other = Mosquitto(one), Mosquitto(two)
    with ExitStack() as stack:
        for broker in (preferred, other):
            broker.start()
            stack.callback(broker.stop)
        fallbacks = (Server(HOST, other.port),)
        options: dict[str, Any] = {"fallbacks": fallbacks, "back_after_s": 0.5, "stable_s": 0.1}
        here = stack.enter_context(node(preferred.port, **options))
        names = [f"{HOST}:{broker.port}" for broker in (preferred, other)]
        there = stack.enter_context(watching(other.port))
        preferred.kill()
        there.on(STATUS, state="online")
        here.lamp.power.set(True)
        there.on(LAMP, power=True)
        preferred.start()
        again = stack.enter_context(watching(preferred.port))
        again.on(STATUS, state="online")
        again.on(LAMP, power=True)
        there.on(STATUS, state="offline", cause=f"{names[0]} is back")
        here.seen.wait("mqtt.connected", 3)
        brokers = [fields["broker"] for fields in here.seen.of("mqtt.connected")]
        assert brokers == [names[0], names[1], names[0]]
        assert "connection lost" not in [
            each.document["cause"] for each in there.received if each.topic == STATUS
        ]
