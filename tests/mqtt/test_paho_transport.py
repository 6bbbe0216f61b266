"""What is special about paho-mqtt, and what a broker of MQTT 5 says beside the messages; the rest
of a transport is tested through the link."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from edgekernel.mqtt.transport import Outbound, Properties, Will
from tests.brokers import LIMIT_S, Mosquitto
from tests.mqtt.parts import settings
from tests.mqtt.scripted_server import (
    CONNECT,
    PUBLISH,
    SUBSCRIBE,
    Packet,
    connack,
    disconnect,
    puback,
    scripted,
)
from tests.mqtt.test_client import linked

RECEIVE_MAXIMUM, MAXIMUM_PACKET = b"\x21", b"\x27"
MAXIMUM_QOS, RETAIN_AVAILABLE, SERVER_KEEP_ALIVE = b"\x24", b"\x25", b"\x13"
REASON_STRING, SERVER_REFERENCE = b"\x1f", b"\x1c"


FILES = 1024


@pytest.fixture
def many_files() -> Iterator[ExitStack]:
    """Give as many open files as select() can wait for, to be closed by the test or at its end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as limits, ExitStack() as files:
        if soft != resource.RLIM_INFINITY and soft < FILES + 100:
            resource.setrlimit(resource.RLIMIT_NOFILE, (FILES + 100, hard))
            limits.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        while (number := os.open(os.devnull, os.O_RDONLY)) < FILES:
            files.callback(os.close, number)
        files.callback(os.close, number)
        yield files


def test_a_process_with_many_files(broker: Mosquitto, many_files: ExitStack) -> None:
    """A link whose socket has a number beyond what select() takes is one like any other."""
    with linked(settings(broker.port)) as (client, observer):
        observer.wait("connected")
        assert client.publish(Outbound("a", b"x")).wait(LIMIT_S)


def utf8(text: str) -> bytes:
    """Return a text with its length before it."""
    return len(text).to_bytes(2, "big") + text.encode()


@pytest.mark.parametrize(
    ("reason", "properties", "told"),
    [
        (142, b"", "session taken over; another client came with the id 'c1'"),
        (137, b"", "server busy"),
        (139, b"", "server shutting down"),
        (
            157,
            SERVER_REFERENCE + utf8("other:1883"),
            "server moved: other:1883; set mqtt.host to where it is now",
        ),
        (
            152,
            REASON_STRING + utf8("too late"),
            "administrative action: too late; the broker's owner has ended it",
        ),
        (0, b"", "connection lost"),
    ],
)
def test_why_the_broker_ends_a_link_is_told(reason: int, properties: bytes, told: str) -> None:
    """A DISCONNECT of the broker is told in words, with its own words and the server it names."""

    def respond(packet: Packet) -> bytes:
        if packet.kind == PUBLISH:
            return disconnect(reason, properties)
        return connack()

    slow = {"reconnect_min_s": 30.0, "reconnect_max_s": 30.0}
    with scripted(respond) as server, linked(settings(server.port, **slow)) as (client, observer):
        observer.wait("connected")
        client.publish(Outbound("a", b""))
        assert observer.wait("disconnected").startswith(f"disconnected: {told}")


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        (MAXIMUM_QOS + b"\0", "qos not supported; a node needs QoS 1"),
        (RETAIN_AVAILABLE + b"\0", "retain not supported; a node needs retained messages"),
    ],
)
def test_a_broker_that_we_cannot_do_with(properties: bytes, told: str) -> None:
    """Without QoS 1 or retained messages no promise holds: that is told as a refusal."""
    with (
        scripted(lambda packet: connack(0, properties)) as server,
        linked(settings(server.port)) as (client, observer),
    ):
        assert f"refused the connection: {told}" in observer.wait("problem")
        assert not client.connected


def test_a_broker_that_does_not_speak_3_1_1() -> None:
    """Where only 3.1.1 is to be spoken the version is named as what may be wrong."""
    with (
        scripted(lambda packet: connack(1, level=4)) as server,
        linked(settings(server.port, protocol="3.1.1")) as (_, observer),
    ):
        assert "an MQTT broker of the version in mqtt.protocol, and" in observer.wait("problem")
        assert {each.level for each in server.of(CONNECT)} == {4}


def test_a_refusal_in_the_brokers_own_words() -> None:
    """What the broker adds to its reason is told, and the hint is still found."""
    said = connack(135, REASON_STRING + utf8("not on Sundays"))
    with scripted(lambda packet: said) as server, linked(settings(server.port)) as (_, observer):
        text = observer.wait("problem")
        assert "not authorized: not on Sundays; it does not accept a client without" in text
        assert server.of(CONNECT)[0].level == 5
        assert len({each.level for each in server.of(CONNECT)}) == 1


@pytest.mark.parametrize(
    ("wanted_s", "told"),
    [(20, ""), (45, "wants a keep-alive of 45 s instead of 30 s"), (0, "has no keep-alive")],
)
def test_a_longer_keep_alive_is_told(wanted_s: int, told: str) -> None:
    """A broker may shorten it; if it makes it longer the last will comes later, which is told."""
    said = connack(0, SERVER_KEEP_ALIVE + wanted_s.to_bytes(2, "big"))
    with scripted(lambda packet: said) as server, linked(settings(server.port)) as (_, observer):
        observer.wait("connected")
        assert [told in text for text in observer.all("problem")] == ([True] if told else [])


def test_no_more_than_its_receive_maximum_is_on_the_way() -> None:
    """Of ten messages two are sent until one has its answer; all arrive in their order."""
    held: list[Packet] = []

    def respond(packet: Packet) -> bytes:
        if packet.kind == CONNECT:
            return connack(0, RECEIVE_MAXIMUM + b"\0\x02")
        held.append(packet)
        return b""

    with scripted(respond) as server, linked(settings(server.port)) as (client, observer):
        observer.wait("connected")
        deliveries = [client.publish(Outbound("a", b"%d" % number)) for number in range(10)]
        client.publish(Outbound("b", b"", qos=0))  # it has no answer to wait for
        while not any(each.flags & 2 == 0 for each in server.of(PUBLISH)):
            assert not deliveries[2].wait(0.005)
        assert len(held) == 3
        answered = 0
        while answered < 10:
            open_ = [each for each in held if each.flags & 2][answered:]
            assert len(open_) <= 2
            for packet in open_:
                server.say(puback(packet))
                answered += 1
            deliveries[answered - 1].wait(LIMIT_S)
        sent = [each.body[-1:] for each in held if each.flags & 2]
        assert sent == [b"%d" % number for number in range(10)]


def test_what_is_too_large_is_not_sent() -> None:
    """A broker ends the link at a packet beyond its maximum: it is not tempted, and the message is
    dropped and told, instead of sent again for ever."""

    def respond(packet: Packet) -> bytes:
        return puback(packet) if packet.kind == PUBLISH else connack(0, MAXIMUM_PACKET + b"\0\0\0d")

    with scripted(respond) as server, linked(settings(server.port)) as (client, observer):
        observer.wait("connected")
        large = client.publish(Outbound("large", bytes(100)))
        assert large.wait(LIMIT_S)
        assert large.refusal.startswith("packet too large: 115 bytes, and the broker takes 100")
        assert "does not take what is published on large" in observer.wait("problem")
        small = client.publish(Outbound("small", bytes(60)))
        assert small.wait(LIMIT_S)
        assert (small.refusal, client.refused, len(server.of(PUBLISH))) == ("", 1, 1)
        beside = client.publish(
            Outbound("s", bytes(60), properties=Properties(user=(("a", "b" * 40),)))
        )
        assert beside.wait(LIMIT_S)
        assert beside.refusal.startswith("packet too large")


def test_a_refused_message_is_told_once_for_its_topic() -> None:
    """Each of the broker's refusals ends a delivery; they are counted, and told once for a topic,
    and of many topics for 50 of them. That nobody has subscribed is none."""

    def respond(packet: Packet) -> bytes:
        if packet.kind == CONNECT:
            return connack()
        return puback(packet, 16 if packet.body[2:3] == b"n" else 135)

    with scripted(respond) as server, linked(settings(server.port)) as (client, observer):
        observer.wait("connected")
        last = [client.publish(Outbound("a", b"")) for _ in range(3)][-1]
        assert last.wait(LIMIT_S)
        assert last.refusal == "not authorized"
        unheard = client.publish(Outbound("n", b""))
        assert unheard.wait(LIMIT_S)
        assert unheard.refusal == ""
        (told,) = observer.all("problem")
        assert "does not take what is published on a: not authorized" in told
        assert "check the broker's access rules" in told
        for number in range(60):
            last = client.publish(Outbound(f"b/{number}", b""))
        assert last.wait(LIMIT_S)
        assert client.refused == 63
        assert len(observer.all("problem")) == 51
        assert "more than 50 topics" in observer.all("problem")[-1]
        assert len(server.of(PUBLISH)) == 64, "none was sent twice"


def test_the_connect_says_what_it_said_on_3_1_1() -> None:
    """A clean start without a session afterwards, and the will at QoS 1, retained: the same."""
    with (
        scripted(lambda packet: connack() if packet.kind == CONNECT else b"") as server,
        linked(settings(server.port), will=Will("w", b"gone")) as (_, observer),
    ):
        observer.wait("connected")
        (connect,) = server.of(CONNECT)
        assert connect.body[7] == 0b0010_1110, "clean, with a will, QoS 1, retained"
        assert connect.body[10] == 0, "no properties: the session ends with the connection"


def test_a_filter_that_is_refused_is_told() -> None:
    """A reason for each filter comes back, and the others hold."""

    def respond(packet: Packet) -> bytes:
        if packet.kind == SUBSCRIBE:
            return b"\x90\x05" + packet.number + b"\0\x01\x87"
        return connack()

    with scripted(respond) as server, linked(settings(server.port), "a", "b") as (_, observer):
        observer.wait("connected")
        assert "does not let this node subscribe to b: no requests" in observer.wait("problem")
