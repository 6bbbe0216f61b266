"""What a request says beside its payload: first alone, then over brokers."""

from __future__ import annotations

import pytest

from edgekernel.mqtt.asked_beside import MAX_CORRELATION, with_properties
from edgekernel.mqtt.payloads import (
    ExpiredError,
    PayloadError,
    ReplyAddress,
    Request,
    parse_call,
    parse_set,
)
from edgekernel.mqtt.transport import Properties
from tests.mqtt.parts import staged_node
from tests.stages import Got, Peer, Stage

REPLY = "edge/n1/reply/me"
TRACE = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


def made(payload: bytes, properties: Properties) -> Request | PayloadError:
    """Return a set that has arrived at the time 0."""
    try:
        return with_properties(parse_set(payload), properties, 0)
    except PayloadError as error:
        return with_properties(error, properties, 0)


def test_a_plain_value_is_answered() -> None:
    """What has no room for a reply topic in its payload has one beside it, and gets back what it
    gave to know the answer by, and its trace; nothing else."""
    user = (("colour", "red"), TRACE, ("tracestate", "x" * 513))
    request = made(b"on", Properties(9, REPLY, b"\0\xff", user))
    assert isinstance(request, Request)
    assert request.content == "on"
    assert request.reply == ReplyAddress(
        REPLY, beside=Properties(correlation=b"\0\xff", user=(TRACE,))
    )


def test_the_payload_may_say_the_same() -> None:
    """Both are the same topic; the id of the payload stays what a repeat is known by."""
    payload = b'{"value": true, "id": 7, "reply_to": "%s"}' % REPLY.encode()
    request = made(payload, Properties(response_topic=REPLY, correlation=b"8"))
    assert request.reply == ReplyAddress(REPLY, 7, beside=Properties(correlation=b"8"))


def test_the_payload_must_not_say_otherwise() -> None:
    """Of two topics neither is guessed: the request is refused, where the payload says."""
    payload = b'{"value": true, "reply_to": "%s"}' % REPLY.encode()
    request = made(payload, Properties(response_topic="edge/n1/reply/you"))
    assert isinstance(request, PayloadError)
    assert "give one of them, or the same twice" in str(request)
    assert request.reply.topic == REPLY


def test_what_is_no_request_is_answered_too() -> None:
    """A payload that cannot be read says nothing of a reply; what is beside it does."""
    request = made(b"{", Properties(response_topic=REPLY, correlation=b"1"))
    assert isinstance(request, PayloadError)
    assert request.reply == ReplyAddress(REPLY, beside=Properties(correlation=b"1"))


def test_correlation_data_are_bounded() -> None:
    """They wait with the request, so there is an end to them."""
    fine = made(b"on", Properties(response_topic=REPLY, correlation=bytes(MAX_CORRELATION)))
    assert isinstance(fine, Request)
    refused = made(b"on", Properties(response_topic=REPLY, correlation=bytes(MAX_CORRELATION + 1)))
    assert isinstance(refused, PayloadError)
    assert refused.reply == ReplyAddress(REPLY)


def test_it_counts_until_it_expires() -> None:
    """The time that was left when it came goes on while it waits."""
    request = with_properties(parse_call(b""), Properties(expiry_s=2), 5_000_000_000)
    assert isinstance(request, Request)
    request.check_expiry(7_000_000_000)
    with pytest.raises(ExpiredError, match=r"expired 0\.5 s ago, by its message expiry interval"):
        request.check_expiry(7_500_000_000)


def replies(peer: Peer, stage: Stage, count: int) -> list[Got]:
    """Wait until a peer has got so many messages; return them."""
    stage.until(lambda: len(peer.received) >= count, f"reply {count} of {peer.received}")
    return list(peer.received)


def test_over_a_broker(stage: Stage) -> None:
    """A client of MQTT 5 sets and calls with nothing but a response topic and correlation data, and
    a repeat brings back its own."""
    with staged_node(stage) as n1:
        peer = stage.peer("me", mqtt5=True)
        peer.subscribe(REPLY)
        set_, call = "edge/n1/set/lamp/power", "edge/n1/call/room-control/boost"
        peer.publish(set_, "on", beside=Properties(30, REPLY, b"1", (TRACE,)))
        (reply,) = replies(peer, stage, 1)
        assert (reply.document["ok"], n1.lamp.power.get()) == (True, True)
        assert reply.beside == Properties(correlation=b"1", user=(TRACE,))
        for number in (2, 3):
            body = {"args": {"minutes": 5}, "id": "same"}
            peer.publish(call, body, beside=Properties(None, REPLY, b"%d" % number))
            replies(peer, stage, number)
        first, again = replies(peer, stage, 3)[1:]
        assert first.document == again.document
        assert [each.beside.correlation for each in (first, again)] == [b"2", b"3"]
        stage.until(lambda: len(n1.seen.of("request.answered")) >= 3, "the audit")
        audit = sorted(each["outcome"] for each in n1.seen.of("request.answered"))
        assert audit == ["ok", "ok", "repeated"]


def test_a_foreign_response_topic_is_refused(stage: Stage) -> None:
    """The node answers below its own replies only, whoever asks it to write elsewhere."""
    with staged_node(stage) as n1:
        peer = stage.peer("me", mqtt5=True)
        peer.subscribe("#")
        peer.publish(
            "edge/n1/set/lamp/power", "on", beside=Properties(response_topic="edge/n2/set/lamp/x")
        )
        stage.until(lambda: n1.seen.of("command.refused"), "the refusal")
        (refused,) = n1.seen.of("command.refused")
        assert (refused["code"], n1.lamp.power.get()) == ("forbidden", False)
        assert not [each for each in peer.received if each.topic.startswith("edge/n2")]


def test_on_3_1_1_the_payload_says_it_all(stage: Stage) -> None:
    """A client of the older protocol gets its answer as before, from a node that speaks 5."""
    with staged_node(stage) as n1:
        peer = stage.peer("me")
        peer.subscribe(REPLY)
        peer.publish("edge/n1/set/lamp/power", {"value": "on", "id": 1, "reply_to": REPLY})
        (reply,) = replies(peer, stage, 1)
        assert reply.document == {"id": 1, "ok": True, "result": None}
        assert n1.interface.status()["protocol"] == "5"
