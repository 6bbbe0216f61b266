"""Trimming: what leaves the file when there is too much in it."""

from __future__ import annotations

from edgekernel.sim import SimClock
from tests.mqtt.outbox.conftest import Open, number
from tests.mqtt.outbox.links import Broker


def test_what_is_with_the_link_stays(clock: SimClock, broker: Broker, open_outbox: Open) -> None:
    """The oldest that are on their way are not dropped; what comes behind them is."""
    outbox = open_outbox(max_rows=30)
    for value in range(30):
        outbox.accept("t", number(value))
    clock.advance(0.1)
    outbox.up(broker)
    clock.advance(0.1)
    assert broker.values == list(range(15))
    for value in range(30, 40):
        outbox.accept("t", number(value))
    clock.advance(0.1)
    assert outbox.counters()["rows"] == 30
    assert outbox.counters()["dropped"] == {"full": 10}
    broker.acknowledge_all()
    clock.advance(3)
    assert broker.values == [*range(15), *range(25, 40)]


def test_what_is_live_goes_too(clock: SimClock, broker: Broker, open_outbox: Open) -> None:
    """What is in the file and waits in memory for its turn can be dropped, and then is not sent."""
    outbox = open_outbox(max_rows=40)
    outbox.up(broker)
    for value in range(40):
        outbox.accept("t", number(value))
    clock.advance(0.1)
    for value in range(40, 50):
        outbox.accept("t", number(value))
    clock.advance(0.1)
    assert outbox.counters()["rows"] == 40
    broker.acknowledge_all()
    clock.advance(3)
    assert broker.values == [*range(20), *range(30, 50)]
    assert outbox.waiting == 0


def test_a_smaller_file_than_before(clock: SimClock, broker: Broker, open_outbox: Open) -> None:
    """A file from the time of larger bounds comes within the new ones with the next commit."""
    outbox = open_outbox()
    for value in range(2000):
        outbox.accept("t", number(value))
    assert outbox.close()
    outbox = open_outbox(max_rows=100)
    outbox.accept("t", number(2000))
    clock.advance(1)
    assert outbox.counters()["rows"] == 100
    assert outbox.counters()["dropped"] == {"full": 1901}
    outbox.up(broker)
    broker.acknowledge_all()
    clock.advance(3)
    assert broker.values == list(range(1901, 2001))
