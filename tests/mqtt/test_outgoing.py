"""What waits to be published."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from edgekernel import SystemClock
from edgekernel.mqtt.outgoing import MAX_CLEARED, WINDOW, Outgoing, Publication
from tests.brokers import LIMIT_S


class Link:
    """A link that acknowledges when told to."""

    def __init__(self) -> None:
        self.sent: list[Publication] = []
        self.pending: list[Callable[[], None]] = []

    def send(self, publication: Publication, on_done: Callable[[], None]) -> None:
        self.sent.append(publication)
        self.pending.append(on_done)

    def acknowledge_all(self) -> None:
        while self.pending:
            self.pending.pop(0)()

    @property
    def payloads(self) -> list[bytes]:
        return [publication.payload for publication in self.sent]


def test_nothing_leaves_before_the_link_is_open() -> None:
    """Events and retained topics wait for the link; replies do not."""
    link = Link()
    outgoing = Outgoing(link.send, SystemClock())
    outgoing.event("e", b"1")
    outgoing.retain("s", b"2")
    outgoing.reply("r", b"3")
    assert link.sent == []
    assert outgoing.dropped_replies == 1
    outgoing.open()
    assert link.sent == [Publication("s", b"2", True), Publication("e", b"1", False)]


def test_what_vouches_for_others_goes_behind_them() -> None:
    """It leaves after all that was retained before it, though it had waited already."""
    link = Link()
    outgoing = Outgoing(link.send, SystemClock())
    outgoing.open()
    for number in range(WINDOW):
        outgoing.event("e", b"%d" % number)
    outgoing.retain_last("status", b"online")
    outgoing.retain("a", b"1")
    outgoing.retain_last("status", b"safe")
    outgoing.retain_last("status", b"safe")
    link.acknowledge_all()
    assert link.sent[WINDOW:] == [
        Publication("a", b"1", True),
        Publication("status", b"safe", True),
    ]
    outgoing.retain_last("status", b"safe")
    assert len(link.sent) == WINDOW + 2


def test_no_more_is_on_the_way_than_the_window() -> None:
    """The next message leaves when an earlier one is acknowledged."""
    link = Link()
    outgoing = Outgoing(link.send, SystemClock())
    outgoing.open()
    for number in range(WINDOW + 5):
        outgoing.event("e", b"%d" % number)
    assert len(link.sent) == WINDOW
    link.pending.pop(0)()
    assert len(link.sent) == WINDOW + 1
    link.acknowledge_all()
    assert link.payloads == [b"%d" % number for number in range(WINDOW + 5)]
    assert outgoing.waiting == 0


def test_a_topic_that_waits_keeps_its_latest_payload_only() -> None:
    """A slow link gets the last state, not every state in between."""
    link = Link()
    outgoing = Outgoing(link.send, SystemClock())
    outgoing.open()
    for _ in range(WINDOW):
        outgoing.event("e", b"")
    for number in range(100):
        outgoing.retain("s", b"%d" % number)
    link.acknowledge_all()
    assert [p.payload for p in link.sent if p.topic == "s"] == [b"99"]


def test_the_same_payload_is_not_sent_twice_on_one_link() -> None:
    """Unchanged is not published again, until the link was down: then everything is."""
    link = Link()
    outgoing = Outgoing(link.send, SystemClock())
    outgoing.open()
    outgoing.retain("s", b"1")
    outgoing.retain("s", b"1")
    assert link.payloads == [b"1"]
    outgoing.close()
    outgoing.open()
    assert link.payloads == [b"1", b"1"]


def test_what_was_taken_off_is_forgotten_in_the_end() -> None:
    """Of topics that were taken off the latest 1000 are so again on the next link, however many
    names there have been; what has come back since is kept."""
    link = Link()
    outgoing = Outgoing(link.send, SystemClock())
    outgoing.open()
    outgoing.clear("back")
    outgoing.retain("back", b"on")
    for number in range(2 * MAX_CLEARED):
        outgoing.retain(f"state/{number}", b"on")
        outgoing.clear(f"state/{number}")
        link.acknowledge_all()
    outgoing.close()
    link.sent.clear()
    outgoing.open()
    link.acknowledge_all()
    latest = range(MAX_CLEARED, 2 * MAX_CLEARED)
    assert Counter(link.sent) == Counter(
        [Publication("back", b"on", True)]
        + [Publication(f"state/{number}", b"", True) for number in latest]
    )
    assert outgoing.waiting == 0


def test_too_many_events_drop_the_oldest_and_are_counted() -> None:
    """The newest events survive, in order, and the loss can be told once, when there is a link."""
    link = Link()
    outgoing = Outgoing(link.send, SystemClock(), max_events=10)
    for number in range(25):
        outgoing.event("e", b"%d" % number)
    assert outgoing.dropped_events == 15
    assert outgoing.take_dropped() == 0
    outgoing.open()
    assert link.payloads == [b"%d" % number for number in range(15, 25)]
    assert (outgoing.take_dropped(), outgoing.take_dropped()) == (15, 0)


def test_flush_waits_for_the_acknowledgements() -> None:
    """Flush is true when all is acknowledged and false when the time or the link ends."""
    link = Link()
    outgoing = Outgoing(link.send, SystemClock())
    outgoing.open()
    outgoing.event("e", b"1")
    assert not outgoing.flush(0.01)
    waiter = threading.Thread(target=link.acknowledge_all)
    waiter.start()
    assert outgoing.flush(LIMIT_S)
    waiter.join()
    outgoing.close()
    assert not outgoing.flush(LIMIT_S)


def test_many_threads_lose_nothing_and_end_on_the_last_state() -> None:
    """With publishers and acknowledgements on many threads each source stays in order."""
    sent: list[Publication] = []
    acknowledgements: list[Callable[[], None]] = []

    def send(publication: Publication, on_done: Callable[[], None]) -> None:
        sent.append(publication)
        if random.random() < 0.5:
            on_done()
        else:
            acknowledgements.append(on_done)

    outgoing = Outgoing(send, SystemClock(), max_events=100_000)
    outgoing.open()
    stop = threading.Event()

    def publish(name: int) -> None:
        for number in range(500):
            outgoing.event(str(name), b"%d" % number)
            outgoing.retain(f"s{name}", b"%d" % number)

    def acknowledge() -> None:
        while not stop.is_set() or acknowledgements:
            if acknowledgements:
                acknowledgements.pop(0)()

    publishers = [threading.Thread(target=publish, args=(name,)) for name in range(4)]
    acknowledger = threading.Thread(target=acknowledge)
    for thread in (*publishers, acknowledger):
        thread.start()
    for thread in publishers:
        thread.join(LIMIT_S)
    assert outgoing.flush(LIMIT_S)
    stop.set()
    acknowledger.join(LIMIT_S)
    for name in range(4):
        events = [p.payload for p in sent if p.topic == str(name)]
        assert events == [b"%d" % number for number in range(500)]
        assert [p.payload for p in sent if p.topic == f"s{name}"][-1] == b"499"


_STEPS = st.lists(
    st.sampled_from(["event", "retain", "reply", "open", "close", "ack"]), max_size=60
)


@given(_STEPS)
def test_whatever_happens_in_which_order_everything_arrives_once(steps: list[str]) -> None:
    """After the link is up and answers, each event was sent once, in order, and the last state."""
    link = Link()
    outgoing = Outgoing(link.send, SystemClock())
    for number, step in enumerate(steps):
        match step:
            case "event":
                outgoing.event("e", b"%d" % number)
            case "retain":
                outgoing.retain("s", b"%d" % number)
            case "reply":
                outgoing.reply("r", b"%d" % number)
            case "open":
                outgoing.open()
            case "close":
                outgoing.close()
            case "ack" if link.pending:
                link.pending.pop(0)()
    outgoing.open()
    link.acknowledge_all()
    kinds = Counter(p.topic for p in link.sent)
    asked = [b"%d" % n for n, step in enumerate(steps) if step == "event"]
    assert [p.payload for p in link.sent if p.topic == "e"] == asked
    assert kinds["r"] + outgoing.dropped_replies == steps.count("reply")
    states = [b"%d" % n for n, step in enumerate(steps) if step == "retain"]
    assert [p.payload for p in link.sent if p.topic == "s"][-1:] == states[-1:]
    assert outgoing.waiting == 0


def test_what_is_retained_is_sent_again_when_asked() -> None:
    """The latest of each topic, once; without a link it waits for the next one as ever."""
    link = Link()
    outgoing = Outgoing(link.send, SystemClock())
    outgoing.retain("a", b"1")
    outgoing.repeat()
    assert link.sent == []
    outgoing.open()
    outgoing.retain("b", b"2")
    link.sent.clear()
    outgoing.repeat()
    assert link.sent == [Publication("a", b"1", True), Publication("b", b"2", True)]
