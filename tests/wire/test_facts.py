"""Facts of what a node and a client send, as tshark reads them from a recording."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgekernel.mqtt import Fleet
from tests.brokers import LIMIT_S, Mosquitto
from tests.mqtt.parts import Node, Tick, node, settings
from tests.wire.decoding import (
    CONNECT,
    DISCONNECT,
    PUBACK,
    PUBLISH,
    SUBSCRIBE,
    Packet,
    decode,
    is_set,
    torn,
)
from tests.wire.recording import Recorder

BASE = "edge/n1"
KEEPALIVE_S = 30
MTU_BYTES = 1400
"""What goes into a packet of Ethernet, and a little less."""


@contextmanager
def recorded(folder: Path, file: Path) -> Iterator[Recorder]:
    """Give a recorder before a broker; at the end write what was said."""
    broker = Mosquitto(folder)
    broker.start()
    recorder = Recorder(broker.port)
    try:
        yield recorder
    finally:
        recorder.close()
        broker.stop()
        recorder.write(file)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record the life of a node: it comes, is asked by a client, tells something, and goes."""
    folder = tmp_path_factory.mktemp("wire")
    file = folder / "life.pcap"
    with (
        recorded(folder, file) as recorder,
        node(recorder.port, keepalive_s=KEEPALIVE_S) as n1,
        Fleet(settings(recorder.port), timeout_s=LIMIT_S) as fleet,
    ):
        ask(n1, fleet)
    return file


def ask(n1: Node, fleet: Fleet) -> None:
    """Let a client ask for something, and wait until all of it was told."""
    with fleet.events("n1", name="tick") as ticks, fleet.watch("n1") as seen:
        fleet.set("n1", "lamp/power", True)
        fleet.call("n1", "room_control.boost", {"minutes": 5})
        n1.runtime.emit(Tick(7))
        assert ticks.get(LIMIT_S) is not None
        while not getattr(seen.get(LIMIT_S), "signals", {}).get("power"):
            continue


@pytest.fixture(scope="module")
def packets(file: Path) -> list[Packet]:
    """Every packet, as tshark reads it."""
    found = decode(file)
    assert found
    return found


def of_client(packets: list[Packet], id: str) -> list[Packet]:
    """Return the packets of the connection of a client whose id begins so."""
    (number,) = [
        each.connection
        for each in packets
        if each.kind == CONNECT and each.get("clientid").startswith(id)
    ]
    return [each for each in packets if each.connection == number]


@pytest.fixture(scope="module")
def of_node(packets: list[Packet]) -> list[Packet]:
    """What the node and the broker say to each other."""
    return of_client(packets, "edge-n1")


@pytest.fixture(scope="module")
def of_asker(packets: list[Packet]) -> list[Packet]:
    """What the client and the broker say to each other."""
    return of_client(packets, "edgekernel-fleet-")


def published(packets: list[Packet], topic: str, *, by_client: bool = True) -> list[Packet]:
    """Return what was published on a topic below the node, by the client or to it."""
    found = [
        each
        for each in packets
        if each.kind == PUBLISH
        and each.topic.startswith(f"{BASE}/{topic}")
        and each.by_client is by_client
    ]
    assert found, f"nothing on {topic}"
    return found


def test_connect(of_node: list[Packet]) -> None:
    """The node connects with a clean session, its keep-alive, and its last will: the status
    offline, retained, at QoS 1."""
    first = of_node[0]
    assert (first.kind, first.by_client) == (CONNECT, True)
    assert is_set(first.get("conflag.cleansess"))
    assert int(first.get("kalive")) == KEEPALIVE_S
    assert is_set(first.get("conflag.willflag"))
    assert is_set(first.get("conflag.retain"))
    assert int(first.get("conflag.qos")) == 1
    assert first.get("willtopic") == f"{BASE}/status"
    will = json.loads(bytes.fromhex(first.get("willmsg").replace(":", "")))
    assert (will["state"], will["cause"], will["since"]) == ("offline", "connection lost", None)


@pytest.mark.parametrize(
    ("topic", "qos", "retain"),
    [
        ("status", 1, True),
        ("info", 1, True),
        ("schema", 1, True),
        ("state/lamp", 1, True),
        ("state/heater", 1, True),
        ("health", 0, True),
        ("event/tick", 1, False),
        ("event/request-answered", 1, False),
        ("reply/", 1, False),
    ],
)
def test_what_the_node_publishes(of_node: list[Packet], topic: str, qos: int, retain: bool) -> None:
    """What is so is retained, what happens is not; all but the health is acknowledged."""
    flags = {(each.qos, each.retain) for each in published(of_node, topic)}
    assert flags == {(qos, retain)}


def test_requests_are_not_retained(of_asker: list[Packet], of_node: list[Packet]) -> None:
    """A set and a call go at QoS 1 and without the retain flag, to the broker and to the node."""
    for topic in ("set/lamp/power", "call/room-control/boost"):
        (asked,) = published(of_asker, topic)
        (given,) = published(of_node, topic, by_client=False)
        assert (asked.qos, asked.retain) == (given.qos, given.retain) == (1, False)
        assert asked.payload == given.payload


def test_subscriptions(of_node: list[Packet], of_asker: list[Packet]) -> None:
    """The node subscribes to its requests, to nothing of others, at QoS 1; a client reads what is
    retained at QoS 0, and its replies at QoS 1."""

    def filters(packets: list[Packet]) -> dict[str, str]:
        found: dict[str, str] = {}
        for each in packets:
            if each.kind == SUBSCRIBE:
                of_5, of_3 = "mqtt.subscription_options_qos", "mqtt.sub.qos"
                qos = each.fields.get(of_5) or each.fields[of_3]
                found |= zip(each.fields["mqtt.topic"], qos, strict=True)
        return found

    mine = filters(of_node)
    assert {f"{BASE}/set/+/+", f"{BASE}/call/+/+", f"{BASE}/lease/+"} <= mine.keys()
    assert all(each.startswith(f"{BASE}/") for each in mine)
    assert {mine[each] for each in mine if "/state/" not in each} == {"1"}
    asked = filters(of_asker)
    assert {qos for each, qos in asked.items() if "/reply/" in each} == {"1"}
    assert {qos for each, qos in asked.items() if "/reply/" not in each} == {"0"}


def test_everything_is_acknowledged(packets: list[Packet]) -> None:
    """Each PUBLISH at QoS 1 has its PUBACK, and none is sent twice."""
    sent = [
        (each.connection, not each.by_client, each.get("msgid"))
        for each in packets
        if each.kind == PUBLISH and each.qos == 1
    ]
    answered = [
        (each.connection, each.by_client, each.get("msgid"))
        for each in packets
        if each.kind == PUBACK
    ]
    assert sorted(sent) == sorted(answered)
    assert not [each for each in packets if each.kind == PUBLISH and is_set(each.get("dupflag"))]


def test_goodbye(of_node: list[Packet]) -> None:
    """The last that the node says is that it is offline, and DISCONNECT: the broker keeps its will
    to itself."""
    said = [each for each in of_node if each.by_client]
    assert said[-1].kind == DISCONNECT
    last = [each for each in said if each.kind == PUBLISH][-1]
    status = json.loads(last.payload)
    assert (last.topic, last.retain) == (f"{BASE}/status", True)
    assert (status["state"], status["cause"] != "connection lost") == ("offline", True)
    assert status["since"] is not None


def test_one_segment_each(file: Path, packets: list[Packet]) -> None:
    """No packet that fits into one segment is torn into two: the second would wait for the
    acknowledgement of the first wherever TCP_NODELAY is not set."""
    assert torn(file, MTU_BYTES) == []
    requests = [each for each in packets if each.topic.startswith((f"{BASE}/set", f"{BASE}/call"))]
    assert [each.segment_bytes for each in requests if each.segment_bytes > MTU_BYTES] == []
