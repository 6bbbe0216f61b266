"""Copies of one message, for filters that overlap."""

from __future__ import annotations

import pytest

from edgekernel.mqtt.fleet.connection import Connection
from edgekernel.mqtt.fleet.copies import Copies
from edgekernel.mqtt.fleet.listening import Arrival, LinkChange
from tests.mqtt.parts import settings
from tests.stages import Stage


def kept(copies: Copies, *payloads: bytes, topic: str = "n1/status") -> list[bytes]:
    """Return the payloads of those that are no copies."""
    return [each for each in payloads if not copies.has(Arrival(topic, each, False))]


def test_each_filter_that_matches_may_bring_one() -> None:
    """As many equal messages as filters match are one; the next one is another."""
    copies = Copies(["+/status", "n1/status", "n2/status", "n1/info"])
    assert kept(copies, b"a", b"a", b"a", b"b", b"a", b"a") == [b"a", b"a", b"b", b"a"]


def test_a_broker_may_bring_only_one() -> None:
    """Of different messages none is taken for a copy."""
    copies = Copies(["+/status", "n1/status"])
    assert kept(copies, b"a", b"b", b"a", b"b") == [b"a", b"b", b"a", b"b"]


def test_only_what_is_right_behind_is_a_copy() -> None:
    """Where another message comes in between, an equal one is a message."""
    copies = Copies(["+/status", "n1/status"])
    assert kept(copies, b"a") == [b"a"]
    assert kept(copies, b"x", topic="n2/status") == [b"x"]
    assert kept(copies, b"a") == [b"a"]


def test_without_overlap_there_are_none() -> None:
    """Equal messages are told apart where one filter matches, and when the other was given up."""
    copies = Copies(["+/event/+", "n1/event/x"])
    assert kept(copies, b"a", b"a", topic="n1/event/y") == [b"a", b"a"]
    copies.drop(["n1/event/x"])
    assert kept(copies, b"a", b"a", topic="n1/event/x") == [b"a", b"a"]


def test_what_was_retained_is_no_copy() -> None:
    """It comes again for whoever asks again."""
    copies = Copies(["+/status", "n1/status"])
    again = Arrival("n1/status", b"a", True)
    assert [copies.has(each) for each in (again, again)] == [False, False]


@pytest.mark.parametrize("protocol", ["auto", "5", "3.1.1"])
def test_everybody_gets_a_message_once(stage: Stage, protocol: str) -> None:
    """Whoever listens to the same with other filters, before, meanwhile and after: a message comes
    once to each, on every version."""
    connection = Connection(
        settings(stage.port, protocol=protocol), 10.0, stage.clock, stage.medium
    )
    connection.open()
    peer = stage.peer("peer")
    sent = [f"edge/n1/event/{number}" for number in range(3)]
    with connection.listening("+/event/+") as first:
        with connection.listening("n1/event/+") as second, connection.listening("n1/event/1"):
            for topic in sent:
                peer.publish(topic, "same")
                peer.publish(topic, "other")
            peer.publish("edge/n1/event/end", "end")
            for listener in (first, second):
                got = [listener.get(10) for _ in range(7)]
                assert [each for each in got if isinstance(each, LinkChange)] == []
                assert [each.topic for each in got if isinstance(each, Arrival)] == [
                    f"n1/event/{name}" for name in (0, 0, 1, 1, 2, 2, "end")
                ]
        connection.retained("n1/info")  # the filters that were left are gone when this is answered
        for _ in range(2):
            peer.publish("edge/n1/event/1", "same")
        assert all(isinstance(first.get(10), Arrival) for _ in range(2))
    connection.close()
