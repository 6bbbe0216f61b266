"""Sender: what the link does not take."""

from __future__ import annotations

from edgekernel import Message
from edgekernel.mqtt.outbox import OutboxRefused, OutboxUnsent
from edgekernel.sim import SimClock
from tests.mqtt.outbox.conftest import Open, number
from tests.mqtt.outbox.links import Broker


def test_refused_by_the_broker(
    clock: SimClock, broker: Broker, open_outbox: Open, told: list[Message]
) -> None:
    """What the broker refuses is not sent again, but counted and told with the reason."""
    outbox = open_outbox()
    outbox.up(broker)
    outbox.accept("t", number(1))
    outbox.accept("t", number(2))
    clock.advance(1)
    broker.open.pop(0).done("Not authorized")
    broker.acknowledge()
    clock.advance(5)
    assert told[0] == OutboxRefused("t", "Not authorized")
    assert outbox.counters()["dropped"] == {"refused": 1}
    assert outbox.waiting == 0
    assert outbox.counters()["rows"] == 0


def test_refusals_are_told_once_for_a_topic(
    clock: SimClock, broker: Broker, open_outbox: Open, told: list[Message]
) -> None:
    """A broker that takes nothing holds nothing up: all is counted, and 50 topics are told once,
    for what is told may be refused as well."""
    outbox = open_outbox()
    outbox.up(broker)
    for _ in range(3):
        for topic in range(60):
            outbox.accept(f"t/{topic}", number(topic))
    while broker.open or outbox.waiting:
        clock.advance(0.1)
        while broker.open:
            broker.open.pop(0).done("not authorized")
    refused = [message for message in told if isinstance(message, OutboxRefused)]
    assert [message.topic for message in refused] == [f"t/{topic}" for topic in range(50)]
    assert outbox.counters()["dropped"] == {"refused": 180}
    assert len(broker.got) == 180, "nothing was sent twice"


def test_what_goes_beside_a_message(
    clock: SimClock, broker: Broker, open_outbox: Open, told: list[Message]
) -> None:
    """Its id, and for how many seconds it is of use: what is left of `max_age`, or of its own."""
    outbox = open_outbox(max_age="60s")
    outbox.accept("t", number(1))
    outbox.accept("t", number(2), expires_s=40)
    clock.advance(9.5)
    outbox.up(broker)
    clock.advance(1)
    assert [got.properties.expiry_s for got in broker.got] == [51, 31]
    assert [got.properties.user for got in broker.got] == [(("id", id),) for id in broker.ids()]


def test_refused_by_the_link(
    clock: SimClock, broker: Broker, open_outbox: Open, told: list[Message]
) -> None:
    """A ValueError of the link is about the message: the next ones are not held up."""
    outbox = open_outbox()
    outbox.up(broker)
    broker.fails = ValueError("Invalid topic.")
    outbox.accept("t/+", number(1))
    clock.advance(0.01)
    broker.fails = None
    outbox.accept("t", number(2))
    clock.advance(0.01)
    assert broker.values == [2]
    assert told == [OutboxRefused("t/+", "Invalid topic.")]


def test_passing_trouble(
    clock: SimClock, broker: Broker, open_outbox: Open, told: list[Message]
) -> None:
    """Whatever else the link raises passes: it is told once and tried again, in order, live or
    from the file, also if the link breaks meanwhile."""
    for _ in range(2):
        outbox = open_outbox(drain_messages=0)
        for value in range(3):
            outbox.accept("old", number(value))
        clock.advance(0.1)
        broker.fails = OSError("no buffer space")
        outbox.up(broker)
        clock.advance(2.5)
        for value in range(3):
            outbox.accept("new", number(value))
        clock.advance(2)
        outbox.down()
        clock.advance(1)
        outbox.up(broker)
        broker.fails = None
        broker.acknowledge_all()
        clock.advance(3)
        assert broker.by_topic() == {"old": [0, 1, 2], "new": [0, 1, 2]}
        assert [type(message) for message in told] == [OutboxUnsent]
        assert outbox.waiting == 0
        assert outbox.close()
        told.clear()
        broker.got.clear()
