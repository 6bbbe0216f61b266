"""Outbox: accepts at once, sends in order and in measure, and loses nothing unseen."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from edgekernel import Message, SystemClock
from edgekernel.mqtt.outbox import Outbox, OutboxDropped, TopicRule
from edgekernel.sim import SimClock
from tests.mqtt.outbox.conftest import Open, number
from tests.mqtt.outbox.links import Broker


def fill(outbox: Outbox, topic: str, values: range) -> None:
    """Give an outbox messages of a topic."""
    for value in values:
        outbox.accept(topic, number(value))


def test_straight_through(clock: SimClock, broker: Broker, open_outbox: Open) -> None:
    """With a link a message goes out at once; acknowledged within the interval, it never touches
    the disk."""
    outbox = open_outbox()
    outbox.up(broker)
    for value in range(100):
        assert outbox.accept("t", number(value), qos=1, retain=True) == value + 1
        clock.advance(0.001)
        broker.acknowledge()
    clock.advance(5)
    assert broker.values == list(range(100))
    assert {(got.qos, got.retain) for got in broker.got} == {(1, True)}
    counters = outbox.counters()
    assert (counters["never_written"], counters["written"], counters["commits"]) == (100, 0, 0)
    assert outbox.committed == 100


def test_commit_interval(clock: SimClock, open_outbox: Open) -> None:
    """What is accepted is committed after the interval, all of it at once, and not before."""
    outbox = open_outbox(commit_every=2.0)
    fill(outbox, "t", range(5))
    clock.advance(1.0)
    fill(outbox, "t", range(5, 8))
    clock.advance(0.9)
    assert outbox.committed == 0
    clock.advance(0.2)
    assert outbox.committed == 8
    assert outbox.counters()["commits"] == 1


def test_the_link_does_not_wait_for_the_interval(
    clock: SimClock, broker: Broker, open_outbox: Open
) -> None:
    """What can only be sent when it is written is written within 50 ms of it or of the link,
    also what comes meanwhile; then messages go straight out again."""
    outbox = open_outbox(commit_every=60.0)
    broker.at_once = True
    fill(outbox, "t", range(5))
    clock.advance(1.0)
    assert outbox.counters()["commits"] == 0
    outbox.up(broker)
    clock.advance(0.001)
    fill(outbox, "t", range(5, 8))
    clock.advance(0.06)
    assert broker.values == list(range(8))
    commits = outbox.counters()["commits"]
    fill(outbox, "t", range(8, 10))
    clock.advance(0.1)
    assert broker.values == list(range(10))
    assert outbox.counters()["commits"] == commits


def test_settling(clock: SimClock, broker: Broker, open_outbox: Open) -> None:
    """Before the end what can be sent is sent, and its answers are waited for; what comes to no
    answer in time is sent again by the next."""
    outbox = open_outbox()
    outbox.up(broker)
    fill(outbox, "t", range(3))

    def answer() -> None:
        clock.sleep(0.3)
        broker.acknowledge(2)

    clock.Thread(answer, "broker").start()
    before = clock.monotonic()
    assert not outbox.settle(1.0)
    assert clock.monotonic() - before == pytest.approx(1.0, abs=0.01)
    assert outbox.close()
    broker.at_once = True
    outbox = open_outbox()
    outbox.up(broker)
    assert outbox.settle(1.0)
    assert broker.values == [0, 1, 2, 2]
    outbox.down()
    fill(outbox, "t", range(3, 5))
    assert outbox.settle(1.0)


def test_flush(clock: SimClock, open_outbox: Open) -> None:
    """A flush does not wait for the interval."""
    outbox = open_outbox(commit_every=60.0)
    fill(outbox, "t", range(5))
    before = clock.monotonic()
    assert outbox.flush(10)
    assert outbox.committed == 5
    assert clock.monotonic() - before < 1


def test_flush_of_many(clock: SimClock, open_outbox: Open) -> None:
    """A flush commits all that waits, in several commits if it is much."""
    outbox = open_outbox(commit_every=3600.0, queue_rows=100_000, queue_size=100_000_000)
    fill(outbox, "t", range(30_000))
    assert outbox.flush(10)
    assert outbox.committed == 30_000
    assert outbox.counters()["commits"] == 30
    fill(outbox, "t", range(30_000))
    assert outbox.close()
    assert outbox.counters()["written"] == 60_000


def test_expired_at_once(clock: SimClock, broker: Broker, open_outbox: Open) -> None:
    """What is of no use a moment later is not sent then."""
    outbox = open_outbox()
    outbox.accept("t", number(1), expires_s=0)
    outbox.up(broker)
    clock.advance(1)
    assert broker.got == []
    assert outbox.counters()["dropped"] == {"expired": 1}


def test_next_agent(clock: SimClock, broker: Broker, open_outbox: Open) -> None:
    """What is not acknowledged is sent by the next agent, with its first id, before what is new."""
    outbox = open_outbox(boot="one")
    outbox.up(broker)
    fill(outbox, "t", range(5))
    clock.advance(0.1)
    broker.acknowledge(2)
    assert outbox.close()
    broker.open.clear()
    outbox = open_outbox(boot="two")
    fill(outbox, "t", range(5, 7))
    outbox.up(broker)
    clock.advance(1)
    assert broker.ids()[5:] == ["one-3", "one-4", "one-5", "two-1", "two-2"]


def test_window(clock: SimClock, broker: Broker, open_outbox: Open) -> None:
    """No more than 20 messages are on their way, 15 of those that had to wait: so live ones need
    not."""
    outbox = open_outbox(drain_messages=0)
    fill(outbox, "old", range(100))
    clock.advance(1)
    outbox.up(broker)
    clock.advance(1)
    assert len(broker.open) == 15
    fill(outbox, "new", range(100))
    clock.advance(1)
    assert len(broker.open) == 20
    assert broker.by_topic() == {"old": list(range(15)), "new": list(range(5))}


def test_live_first(clock: SimClock, broker: Broker, open_outbox: Open) -> None:
    """What waited goes out at the drain rate; what is live is not held up by it, but within a
    topic nothing overtakes."""
    outbox = open_outbox(drain_messages=10)
    fill(outbox, "old", range(50))
    clock.advance(1)
    outbox.up(broker)
    broker.acknowledge_all()
    clock.advance(2)
    assert 20 <= len(broker.got) <= 22
    fill(outbox, "new", range(10))
    outbox.accept("old", number(50))
    clock.advance(0.01)
    assert broker.by_topic()["new"] == list(range(10))
    clock.advance(10)
    assert broker.by_topic()["old"] == list(range(51))


def test_drain_size(clock: SimClock, broker: Broker, open_outbox: Open) -> None:
    """The drain rate is also one of bytes."""
    outbox = open_outbox(drain_messages=0, drain_size=10_000)
    for _ in range(50):
        outbox.accept("t", b"x" * 920, stamped=False)
    clock.advance(1)
    outbox.up(broker)
    broker.at_once = True
    clock.advance(2)
    assert 20 <= len(broker.got) <= 22


def test_link_that_keeps(clock: SimClock, broker: Broker, open_outbox: Open) -> None:
    """What was on its way is the link's to send again; what follows waits for the next one."""
    outbox = open_outbox()
    outbox.up(broker)
    fill(outbox, "t", range(30))
    clock.advance(0.1)
    outbox.down()
    clock.advance(1)
    assert broker.values == list(range(20))
    outbox.up(broker)
    broker.acknowledge_all()
    clock.advance(5)
    assert broker.values == list(range(30))
    assert outbox.waiting == 0


def test_link_that_forgets(clock: SimClock, broker: Broker, open_outbox: Open) -> None:
    """What was on its way over a link that is gone for good is sent over the next, in order, with
    the same ids; a late acknowledgement of the first does no harm."""
    outbox = open_outbox()
    outbox.up(broker)
    fill(outbox, "t", range(30))
    clock.advance(0.1)
    broker.acknowledge(5)
    outbox.down(forgets=True)
    broker.acknowledge(3)
    following = Broker()
    outbox.up(following)
    following.acknowledge_all()
    clock.advance(5)
    assert following.values == list(range(5, 30))
    assert set(following.ids()[:15]) <= set(broker.ids())
    assert outbox.waiting == 0
    assert outbox.counters()["delivered"] == 30


def test_expiry(clock: SimClock, broker: Broker, open_outbox: Open, told: list[Message]) -> None:
    """What is too old when its turn comes is not sent, but counted and told."""
    outbox = open_outbox(max_age=3600.0)
    outbox.accept("t", number(1), expires_s=10)
    outbox.accept("t", number(2), expires_s=100)
    outbox.accept("t", number(3))
    clock.advance(20)
    outbox.up(broker)
    broker.acknowledge_all()
    clock.advance(1)
    assert broker.values == [2, 3]
    outbox.down()
    outbox.accept("t", number(4))
    clock.advance(3700)
    assert outbox.counters()["rows"] == 0
    assert told == [OutboxDropped(1, "expired"), OutboxDropped(1, "expired")]


def test_rules(clock: SimClock, broker: Broker, open_outbox: Open, told: list[Message]) -> None:
    """Of each topic is kept what its rule says, and what goes is counted by its cause."""
    topics = [
        TopicRule(filter="latest", keep="latest"),
        TopicRule(filter="ring", ring=3),
        TopicRule(filter="none", keep="none"),
    ]
    outbox = open_outbox(topics=topics, base="edge/n")
    for value in range(10):
        for topic in ("latest", "ring", "none", "all"):
            outbox.accept(f"edge/n/{topic}", number(value))
        clock.advance(0.03)
    clock.advance(1)
    assert outbox.counters()["rows"] == 1 + 3 + 10
    outbox.up(broker)
    broker.acknowledge_all()
    clock.advance(1)
    outbox.accept("edge/n/none", number(10))
    clock.advance(1)
    assert broker.by_topic() == {
        "edge/n/latest": [9],
        "edge/n/ring": [7, 8, 9],
        "edge/n/none": [10],
        "edge/n/all": list(range(10)),
    }
    assert outbox.counters()["dropped"] == {"superseded": 9, "ring": 7, "not kept": 10}
    clock.advance(70)
    causes = {m.cause for m in told if isinstance(m, OutboxDropped)}
    assert causes == {"ring", "not kept"}
    assert sum(m.dropped for m in told if isinstance(m, OutboxDropped)) == 17


@pytest.mark.parametrize("bound", [{"max_rows": 50}, {"max_size": 10_000}])
def test_bounds(
    bound: dict[str, int],
    clock: SimClock,
    broker: Broker,
    open_outbox: Open,
    told: list[Message],
) -> None:
    """When the file is full the oldest go; that is told, at once and a minute later, with how
    many."""
    outbox = open_outbox(**bound)
    for value in range(200):
        outbox.accept("t", b"x" * 119, stamped=False)
        clock.advance(0.1)
        assert value < 60 or outbox.counters()["rows"] in (49, 50, 51)
    clock.advance(60)
    assert outbox.counters()["dropped"] == {"full": 150}
    assert sum(m.dropped for m in told if isinstance(m, OutboxDropped)) == 150
    assert len(told) == 2
    outbox.up(broker)
    broker.acknowledge_all()
    clock.advance(5)
    assert len(broker.got) == 50


def test_not_accepted(open_outbox: Open) -> None:
    """What is too large, or comes after the end, is refused and counted; what cannot be stamped is
    a mistake of the caller."""
    outbox = open_outbox(max_payload=1000)
    assert outbox.accept("t", b"x" * 1001, stamped=False) is None
    assert outbox.accept("t", b"x" * 1000, stamped=False) == 1
    with pytest.raises(ValueError, match="t: only a JSON object can be stamped"):
        outbox.accept("t", b"21.5")
    assert outbox.close()
    assert outbox.accept("t", number(1)) is None
    assert outbox.counters()["dropped"] == {"too large": 1, "closed": 1}


def test_when_it_happened(clock: SimClock, broker: Broker, open_outbox: Open) -> None:
    """The stamp can be that of when it happened, which is never later than now."""
    outbox = open_outbox()
    clock.advance(100)
    outbox.accept("t", number(1), monotonic_ns=60_000_000_000)
    outbox.accept("t", number(2), monotonic_ns=999_000_000_000)
    outbox.up(broker)
    clock.advance(1)
    assert [got.fields["monotonic"] for got in broker.got] == [60.0, 100.001]
    assert broker.got[0].fields["time"] == "2026-01-01T00:01:00.000Z"


def test_before_the_file_is_open(
    clock: SimClock, broker: Broker, open_outbox: Open, file: Path
) -> None:
    """What is accepted before the file was opened comes after what is in there."""
    outbox = open_outbox()
    fill(outbox, "t", range(3))
    assert outbox.close()
    outbox = open_outbox(settle=False)
    fill(outbox, "t", range(3, 6))
    outbox.up(broker)
    broker.acknowledge_all()
    assert broker.got == []
    clock.advance(1)
    assert broker.values == list(range(6))


def test_from_many_threads(tmp_path: Path) -> None:
    """On real threads everything arrives, once, in order within each topic."""
    broker = Broker()
    broker.at_once = True
    outbox = Outbox(tmp_path / "outbox.db", SystemClock(), boot="real")
    outbox.start()
    outbox.up(broker)

    def work(topic: str) -> None:
        for value in range(500):
            outbox.accept(topic, number(value))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=[f"t{n}"]) for n in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            outbox.down()
            outbox.up(broker)
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    clock = SystemClock()
    end_s = clock.monotonic() + 60
    while outbox.waiting and clock.monotonic() < end_s:
        outbox.flush(1)
    assert outbox.close()
    assert broker.by_topic() == {f"t{n}": list(range(500)) for n in range(4)}
