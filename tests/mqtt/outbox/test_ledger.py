"""Ledger: what happens while a commit or a reading is under way."""

from __future__ import annotations

from collections import Counter

import pytest

from edgekernel.mqtt.outbox.boots import Boot
from edgekernel.mqtt.outbox.item import Item
from edgekernel.mqtt.outbox.keeping import ALL, Keeping
from edgekernel.mqtt.outbox.ledger import Batch, Ledger, Row, Taken
from edgekernel.node.outbox_table import OutboxTable
from edgekernel.sim import SimClock
from tests.mqtt.outbox.links import Broker

BOOT = Boot("boot", "machine")


@pytest.fixture
def ledger(clock: SimClock) -> Ledger:
    """A ledger whose file is empty and whose link is up."""
    ledger = Ledger(clock, BOOT, OutboxTable(drain_messages=0, queue_rows=4))
    ledger.opened(Counter())
    ledger.up(Broker())
    return ledger


def message(topic: str = "t", position: int = 0, *, stored: bool = False) -> Item:
    """Return a message as it is accepted, or as it is read from the file."""
    return Item(
        position=position,
        topic=topic,
        payload=b"{}",
        qos=1,
        retain=False,
        stamped=True,
        keeping=Keeping(ALL),
        boot=BOOT,
        number=position,
        monotonic_ns=0,
        time_ns=None,
        lifetime_ns=None,
        stored=stored,
    )


def take(ledger: Ledger) -> Item | None:
    """Take what is to be sent."""
    taken = ledger.take()
    return taken.item if isinstance(taken, Taken) else None


def test_acknowledged_while_it_is_written(ledger: Ledger) -> None:
    """What is acknowledged while its commit is under way is removed by the next one."""
    item = message()
    ledger.accept(item)
    assert take(ledger) is item
    batch = ledger.batch(100)
    ledger.acknowledged(item)
    ledger.written(batch, [])
    assert ledger.batch(100) == Batch([], {1: Row(1, "t", item.size)}, False)
    assert ledger.committed == 1


def test_dropped_while_it_is_written(ledger: Ledger) -> None:
    """So is what has to make room meanwhile; it is not sent either."""
    ledger.down(forgets=False)
    for _ in range(4):
        ledger.accept(message())
    batch = ledger.batch(100)
    ledger.accept(message())
    ledger.written(batch, [])
    assert ledger.drops.by_cause == {"queue": 1}
    assert list(ledger.batch(100).acknowledged) == [1]
    ledger.up(Broker())
    ledger.add_page(ledger.wants_page or 0, [message(position=p, stored=True) for p in (1, 2)], 2)
    sent = take(ledger)
    assert sent is not None
    assert sent.position == 2


def test_page_that_comes_too_late(ledger: Ledger) -> None:
    """A page that was read before the link broke is not used: part of it may be sent by then."""
    ledger.down(forgets=False)
    ledger.accept(message())
    ledger.written(ledger.batch(100), [])
    ledger.up(Broker())
    after = ledger.wants_page
    assert after is not None
    ledger.add_page(after, [message(position=1, stored=True)], 1)
    ledger.add_page(after, [message(position=1, stored=True)], 1)
    assert take(ledger) is not None
    assert take(ledger) is None


def test_claimed_and_not_removed(ledger: Ledger) -> None:
    """Rows that were to be removed are not sent meanwhile; if that fails, they are sent."""
    ledger.accept(message("a"))
    ledger.written(ledger.batch(100), [])
    row = Row(1, "a", 83)
    assert ledger.claim([row]) == [row]
    assert take(ledger) is None
    ledger.accept(message("a"))
    assert take(ledger) is None  # it may not overtake
    ledger.not_written()
    assert ledger.wants_page is not None
    ledger.add_page(ledger.wants_page, [message("a", 1, stored=True)], 1)
    sent = take(ledger)
    assert sent is not None
    assert sent.position == 1


def test_what_is_with_the_link_is_not_claimed(ledger: Ledger) -> None:
    """What is on its way, or acknowledged and not removed yet, cannot be dropped any more."""
    items = [message(), message()]
    for item in items:
        ledger.accept(item)
    ledger.written(ledger.batch(100), [])
    assert [take(ledger), take(ledger)] == items
    ledger.acknowledged(items[0])
    rows = [Row(item.position, "t", item.size) for item in items]
    assert ledger.claim(rows) == []
