"""Messages that go past paho, on its socket: with a server that says them byte by byte, and over
TLS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edgekernel.mqtt.packed_properties import packed, variable_byte_integer
from edgekernel.mqtt.paho_transport import PahoTransport
from edgekernel.mqtt.relief import may_take_long
from edgekernel.mqtt.transport import Inbound, Login, Outbound, Properties, Server
from tests.brokers import HOST, LIMIT_S, watching
from tests.mqtt.parts import settings
from tests.mqtt.scripted_server import (
    CONNECT,
    PUBLISH,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Packet,
    ScriptedServer,
    connack,
    puback,
    scripted,
)
from tests.mqtt.test_client import linked
from tests.mqtt.web_broker import WebBroker

PUBACK, PUBREC, PUBCOMP, DISCONNECT = 4, 5, 7, 14


def publish(payload: bytes, number: int, first: int = 0x32) -> bytes:
    """Return a PUBLISH of MQTT 5 on the topic `in`."""
    rest = b"\0\x02in" + number.to_bytes(2, "big") + b"\0" + payload
    return bytes([first]) + variable_byte_integer(len(rest)) + rest


def accept(packet: Packet) -> bytes:
    """Answer as a broker does."""
    if packet.kind == PUBLISH:
        return puback(packet)
    if packet.kind == SUBSCRIBE:
        return b"\x90\x04" + packet.number + b"\0\x01"
    if packet.kind == UNSUBSCRIBE:
        return b"\xb0\x04" + packet.number + b"\0\0"
    return connack() if packet.kind == CONNECT else b""


def answered(server: ScriptedServer) -> list[int]:
    """Return the numbers of the messages that the client has acknowledged."""
    return [int.from_bytes(each.body[:2], "big") for each in server.of(PUBACK)]


def test_messages_that_come_in_one_piece() -> None:
    """Many packets at once, and one byte by byte, arrive in their order and are acknowledged so."""
    with scripted(accept) as server, linked(settings(server.port)) as (client, observer):
        observer.wait("connected")
        server.say(b"".join(publish(b"%d" % number, number) for number in range(1, 400)))
        for byte in publish(b"torn", 400):
            server.say(bytes([byte]))
        server.say(publish(bytes([65] * 20_000), 401) + publish(b"last", 402))
        observer.wait("message: in last")
        came = [each.split()[2] for each in observer.all("message")]
        assert client.publish(Outbound("out", b"")).wait(LIMIT_S)  # it is behind the last of them
    assert came == [*map(str, range(1, 400)), "torn", "A" * 20_000, "last"]
    assert answered(server) == list(range(1, 403))


def test_what_comes_before_a_goodbye() -> None:
    """Messages that come in one piece with the broker's goodbye are handled and acknowledged before
    it is heard; what follows it is not for us."""
    with scripted(accept) as server, linked(settings(server.port)) as (_, observer):
        observer.wait("connected")
        messages = b"".join(publish(b"%d" % number, number) for number in range(1, 6))
        server.say(messages + b"\xe0\x01\x8b" + publish(b"late", 6))
        observer.wait("disconnected")
        said = observer.said[1:]
        until(lambda: len(answered(server)) >= 5)
    assert said[:5] == [f"message: in {number} False" for number in range(1, 6)]
    assert said[5].startswith("disconnected")
    assert answered(server)[:5] == [1, 2, 3, 4, 5]
    assert not [each for each in said if "late" in each]


class Hearing:
    """Notes what a transport tells."""

    def __init__(self) -> None:
        self.accepting = threading.Event()
        self.heard: list[str] = []

    def accepted(self, session_present: bool, notes: Sequence[str] = ()) -> None:
        self.accepting.set()

    def arrived(self, message: Inbound) -> None:
        self.heard.append(message.payload.decode())

    def refused(self, reason: str) -> None:
        self.heard.append(reason)

    def lost(self, reason: str) -> None:
        pass

    def failed(self, where: str, error: Exception) -> None:
        self.heard.append(repr(error))


def test_what_comes_before_an_answer_of_paho() -> None:
    """Who hears that it gets no more messages has had all that were sent before."""

    def respond(packet: Packet) -> bytes:
        if packet.kind != UNSUBSCRIBE:
            return accept(packet)
        return b"".join(publish(b"%d" % number, number) for number in (1, 2, 3)) + accept(packet)

    hearing, done = Hearing(), threading.Event()
    with scripted(respond) as server:
        transport = PahoTransport(hearing)
        transport.connect(Server(HOST, server.port), Login("one"))
        assert hearing.accepting.wait(LIMIT_S)

        def unsubscribed() -> None:
            hearing.heard.append("unsubscribed")
            done.set()

        transport.unsubscribe(["in"], unsubscribed)
        assert done.wait(LIMIT_S)
        assert transport.close(LIMIT_S, goodbye=True)
    assert hearing.heard == ["1", "2", "3", "unsubscribed"]


@pytest.mark.parametrize(
    "beside",
    [b"\x02\x01\x01", b"\x07\x03\0\x04text", b"\x02\x0b\x07"],
    ids=["format", "content type", "subscription identifier"],
)
def test_what_others_say_beside(beside: bytes) -> None:
    """A message with properties that mean nothing to us keeps its place, and so does what
    acknowledges it, whoever reads them."""
    rest = b"\0\x02in\0\x03" + beside + b"3"
    other = b"\x32" + variable_byte_integer(len(rest)) + rest
    with scripted(accept) as server, linked(settings(server.port)) as (client, observer):
        observer.wait("connected")
        server.say(publish(b"1", 1) + publish(b"2", 2) + other + publish(b"4", 4))
        observer.wait("message", 4)
        assert client.publish(Outbound("out", b"")).wait(LIMIT_S)
        came = [each.split()[2] for each in observer.all("message")]
    assert came == ["1", "2", "3", "4"]
    assert answered(server) == [1, 2, 3, 4]


def test_what_is_said_leaves_before_the_next_is_handled() -> None:
    """Many requests come in one piece, and each may take long: all that the first one says is
    answered before the second has come to its end, and so it is if the first one waits for that."""
    with scripted(accept) as server, linked(settings(server.port)) as (client, observer):
        observer.wait("connected")
        order: list[str] = []

        def handle(message: Inbound) -> None:
            may_take_long()
            order.append(message.payload.decode())
            if message.payload == b"1":
                client.publish(Outbound("out", b"first"))
                client.publish(Outbound("out", b"second"), lambda: order.append("answered"))
            if message.payload == b"2":
                client.publish(Outbound("out", b"third"))
                fourth = client.publish(Outbound("out", b"fourth"))
                order.append(f"waited: {fourth.wait(LIMIT_S)}")
            if message.payload == b"3":
                until(lambda: "waited: True" in order)

        observer.on_message = handle
        server.say(b"".join(publish(b"%d" % number, number) for number in range(1, 9)))
        observer.wait("message", 8)
    assert order.index("waited: True") < order.index("4")
    assert order.index("answered") < order.index("4")


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_what_a_request_says_beside() -> None:
    """Its properties arrive with it."""
    said = Properties(7, "reply", b"\0\1", (("a", "b"),))
    came: list[Inbound] = []
    with scripted(accept) as server, linked(settings(server.port)) as (_, observer):
        observer.on_message = came.append
        observer.wait("connected")
        rest = b"\0\x02in\0\x05" + packed(said) + b"x"
        server.say(b"\x32" + variable_byte_integer(len(rest)) + rest)
        observer.wait("message")
    assert came == [Inbound("in", b"x", False, said)]


def test_a_message_is_acknowledged_when_it_is_its_turn() -> None:
    """While one is handled those behind it are the broker's, who would send them again."""
    with scripted(accept) as server, linked(settings(server.port)) as (client, observer):
        observer.wait("connected")

        def handle(message: Inbound) -> None:
            client.publish(Outbound("out", message.payload))

        observer.on_message = handle
        server.say(publish(b"one", 1) + publish(b"two", 2))
        observer.wait("message", 2)
        assert client.publish(Outbound("out", b"last")).wait(LIMIT_S)
        said = [(each.kind, each.body[-3:]) for each in server.packets if each.kind != CONNECT]
    assert said[:4] == [(PUBACK, b"\0\1"), (PUBLISH, b"one"), (PUBACK, b"\0\2"), (PUBLISH, b"two")]


def test_the_first_answer_leaves_at_once() -> None:
    """What a handler that takes long says first is not kept until it ends, and neither is the rest
    when it is relieved."""
    with scripted(accept) as server, linked(settings(server.port)) as (client, observer):
        observer.wait("connected")
        found: list[bool] = []

        def handle(message: Inbound) -> None:
            may_take_long()
            first = client.publish(Outbound("out", b"first"))
            found.append(first.wait(LIMIT_S))
            client.publish(Outbound("out", b"second"))
            third = client.publish(Outbound("out", b"third"))
            found.append(third.wait(LIMIT_S))

        observer.on_message = handle
        server.say(publish(b"one", 1))
        observer.wait("message")
        said = [each.body.rpartition(b"\0")[2] for each in server.of(PUBLISH)]
    assert found == [True, True]
    assert said == [b"first", b"second", b"third"]


def test_what_has_no_answer_is_sent_again_on_the_next_link() -> None:
    """In its order, as a new message: with a number of its own, and not as a duplicate."""
    ended = threading.Event()

    def respond(packet: Packet) -> bytes | None:
        if packet.kind != PUBLISH or ended.is_set():
            return accept(packet)
        if packet.body.endswith(b"2"):
            return puback(packet)
        if packet.body.endswith(b"4"):
            ended.set()
            return None
        return b""

    with scripted(respond) as server, linked(settings(server.port)) as (client, observer):
        observer.wait("connected")
        deliveries = [client.publish(Outbound("a", b"%d" % number)) for number in (1, 2, 3, 4)]
        assert all(each.wait(LIMIT_S) for each in deliveries)
        sent = [(each.body[-1:], each.flags) for each in server.of(PUBLISH)]
    assert sent == [(each, 2) for each in (b"1", b"2", b"3", b"4", b"1", b"3", b"4")]


def test_what_is_sent_stays_in_its_order() -> None:
    """Who subscribes and then publishes hears of it, and who publishes and then subscribes may not:
    the packets of paho and those that go past it are one stream."""
    answered = threading.Event()

    def respond(packet: Packet) -> bytes:
        if packet.kind == UNSUBSCRIBE:
            answered.set()
        return accept(packet)

    with scripted(respond) as server, linked(settings(server.port)) as (client, observer):
        observer.wait("connected")

        def handle(message: Inbound) -> None:
            client.publish(Outbound("a", b"1"))
            client.subscribe(["a"])
            client.publish(Outbound("a", b"2"))
            client.publish(Outbound("a", b"3"))
            client.unsubscribe(["a"])

        observer.on_message = handle
        server.say(publish(b"", 1))
        assert answered.wait(LIMIT_S)
        kinds = [each.kind for each in server.packets]
    assert kinds == [CONNECT, PUBACK, PUBLISH, SUBSCRIBE, PUBLISH, PUBLISH, UNSUBSCRIBE]


def test_no_two_packets_have_the_same_number() -> None:
    """What is not answered keeps its number, be it a message or a subscription of paho."""

    def respond(packet: Packet) -> bytes:
        return connack() if packet.kind == CONNECT else b""

    with scripted(respond) as server, linked(settings(server.port)) as (client, observer):
        observer.wait("connected")
        for number in range(20):
            client.publish(Outbound("a", b"x"))
            client.subscribe([f"b/{number}"])
        while len(server.packets) < 41:
            assert not client.publish(Outbound("a", b"")).wait(0.005)
        numbers = [each.number for each in server.packets if each.kind != CONNECT]
    assert len(set(numbers)) == len(numbers)


def test_an_answer_to_nothing() -> None:
    """An acknowledgement that nobody waits for, or for the second time, changes nothing."""

    def respond(packet: Packet) -> bytes:
        said = accept(packet)
        return said * 2 + b"\x40\x02\xff\xff" if packet.kind == PUBLISH else said

    with scripted(respond) as server, linked(settings(server.port)) as (client, observer):
        observer.wait("connected")
        assert all(client.publish(Outbound("a", b"")).wait(LIMIT_S) for _ in range(3))
    assert observer.said == ["connected"]


def test_who_hears_of_an_answer_and_raises() -> None:
    """What it raises is told, and the link goes on."""

    def oops() -> None:
        raise ZeroDivisionError("oops")

    with scripted(accept) as server, linked(settings(server.port)) as (client, observer):
        observer.wait("connected")
        client.publish(Outbound("a", b""), oops)
        observer.wait("failed: published: oops")
        assert client.publish(Outbound("a", b"")).wait(LIMIT_S)
    assert not observer.all("disconnected")


@pytest.mark.parametrize(
    "said",
    [
        b"\x36\x05\0\x01a\0\x01",  # QoS 3
        b"\x32\x03\0\x09a",
        b"\x32\xff\xff\xff\xff\xff",
        b"\x32\x06\0\x01a\0\x01\x05",  # properties that are not there
        b"\x40\x01\0",
        b"\x40\x03\0\x01\x01",  # no such reason
        b"\x40\x06\0\x01\x87\x05\x1f\0",
    ],
)
def test_what_is_malformed_ends_the_link(said: bytes) -> None:
    """As paho ends it (section 4.13); a new one is made."""
    with scripted(accept) as server, linked(settings(server.port)) as (client, observer):
        observer.wait("connected")
        server.say(said)
        observer.wait("disconnected")
        observer.wait("connected", 2)
        assert client.publish(Outbound("a", b"")).wait(LIMIT_S)
    assert not observer.all("failed")
    assert not observer.all("message")


def test_a_message_at_qos_2_is_for_paho() -> None:
    """Nobody asks for one; it is taken as paho takes it, once."""
    with scripted(accept) as server, linked(settings(server.port)) as (_, observer):
        observer.wait("connected")
        server.say(publish(b"twice", 5, 0x34) + b"\x62\x02\0\x05")
        observer.wait("message: in twice")
        until(lambda: bool(server.of(PUBCOMP)))
    assert [(each.kind, each.body) for each in server.packets if 4 <= each.kind <= 7] == [
        (PUBREC, b"\0\x05"),
        (PUBCOMP, b"\0\x05"),
    ]


def test_the_goodbye_is_last() -> None:
    """What was published before the end goes before the goodbye of paho."""
    said = threading.Event()

    def respond(packet: Packet) -> bytes:
        if packet.kind == DISCONNECT:
            said.set()
        return connack() if packet.kind == CONNECT else b""

    with scripted(respond) as server:
        with linked(settings(server.port)) as (client, observer):
            observer.wait("connected")
            for number in range(100):
                client.publish(Outbound("a", b"%d" % number))
        assert said.wait(LIMIT_S)
    kinds = [each.kind for each in server.packets]
    assert kinds == [CONNECT, *[PUBLISH] * 100, DISCONNECT]


def test_large_messages_both_ways_over_tls(tmp_path: Path) -> None:
    """TLS takes a message in pieces, and gives one in others; while it does so small ones come."""
    broker = WebBroker(tmp_path)
    broker.start()
    server = broker.encrypted
    try:
        with (
            watching(broker.port) as watcher,
            linked(settings(server.port, tls=server.tls), "in/#") as (client, observer),
        ):
            observer.wait("connected")
            payloads = [bytes([65 + number]) * (300_000 * number + 1) for number in range(10)]
            deliveries = [client.publish(Outbound("out", each)) for each in payloads]
            for number, payload in enumerate(payloads):
                watcher.publish(f"in/{number}", payload)
            observer.wait("message", len(payloads))
            assert all(each.wait(LIMIT_S) for each in deliveries)
            watcher.wait_for(lambda got: got.topic == "out" and got.payload == payloads[-1])
            came = [each.payload for each in watcher.received if each.topic == "out"]
    finally:
        broker.stop()
    assert came == payloads
    expected = [f"message: in/{n} {each.decode()} False" for n, each in enumerate(payloads)]
    assert observer.all("message") == expected
