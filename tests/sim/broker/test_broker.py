"""What the in-process broker does at which simulated time, and what mosquitto cannot be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from edgekernel.core.errors import InvalidValueError, LifecycleError
from edgekernel.sim import SimClock
from edgekernel.sim.broker import Connection, Hello, Publication, SimBroker
from edgekernel.sim.broker.session import MAX_QUEUED


class Client:
    """Notes what comes, with the milliseconds since it was made."""

    connection: Connection

    def __init__(self, clock: SimClock) -> None:
        self.noted: list[tuple[float, Any]] = []
        self.publications: list[Publication] = []
        self._clock = clock
        self._begun_s = clock.monotonic()

    def note(self, what: object) -> None:
        self.noted.append((round(1000 * (self._clock.monotonic() - self._begun_s), 6), what))

    def accepted(self, session_present: bool) -> None:
        self.note("accepted")

    def refused(self, reason: str) -> None:
        self.note(reason)

    def arrived(self, packet: int, publication: Publication, again: bool) -> None:
        self.publications.append(publication)
        self.note(
            (publication.payload.decode(), "again") if again else publication.payload.decode()
        )
        if packet:
            self.connection.acknowledge(packet)

    def subscribed(self, number: int) -> None:
        self.note(f"subscribed {number}")

    def acknowledged(self, number: int, refusal: str = "") -> None:
        self.note(f"acknowledged {number}")

    def lost(self, reason: str) -> None:
        self.note(f"lost {reason}".strip())

    def failed(self, error: Exception) -> None:
        raise error


Connect = Callable[..., Client]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is closed at the end, before the clock."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def clock(stack: ExitStack) -> SimClock:
    """A simulated clock."""
    return stack.enter_context(SimClock())


@pytest.fixture
def connect(clock: SimClock, stack: ExitStack) -> Connect:
    """Give a function that connects a client to a broker; it is there 2 ms later."""

    def connect(broker: SimBroker, client_id: str = "c", **hello: Any) -> Client:
        client = Client(clock)
        never = clock.Event()
        client.connection = broker.connect(Hello(client_id, **hello), client, never)
        stack.callback(client.connection.close, 1.0)
        clock.advance(0.002)
        return client

    return connect


def test_everything_takes_its_time(clock: SimClock, connect: Connect) -> None:
    """From end to end it is the latency; an acknowledgement may take longer, other things not."""
    with SimBroker(clock, latency_s=0.010, ack_delay_s=0.250) as broker:
        client = connect(broker)
        client.connection.subscribe(1, [("a", 1)])
        client.connection.publish(2, Publication("a", b"x", qos=1))
        client.connection.ping(3)
        clock.advance(1)
        assert client.noted == [
            (40.0, "accepted"),
            (42.0, "subscribed 1"),
            (42.0, "x"),
            (42.0, "acknowledged 3"),
            (292.0, "acknowledged 2"),
        ]


def test_each_run_is_the_same(connect: Connect) -> None:
    """Two runs with one seed give the same at the same times."""

    def run() -> list[tuple[float, Any]]:
        with SimClock(seed=3) as clock, SimBroker(clock) as broker:
            clients = []
            for number in range(3):
                client = Client(clock)
                hello = Hello(str(number))
                client.connection = broker.connect(hello, client, clock.Event())
                client.connection.subscribe(1, [("#", 1)])
                clients.append(client)
            for number in range(30):
                clients[number % 3].connection.publish(
                    number + 2, Publication(f"t/{number % 2}", b"%d" % number, qos=1)
                )
            clock.advance(1)
            return [noted for client in clients for noted in client.noted]

    assert run() == run()
    assert len(run()) > 90


def test_keep_alive_to_the_moment(clock: SimClock, connect: Connect) -> None:
    """A silent client is gone 1.5 times its keep-alive after its last packet."""
    with SimBroker(clock) as broker:
        watched: list[float] = []
        broker.watch(lambda _: watched.append(clock.monotonic()))
        client = connect(broker, keepalive_s=10, will=Publication("will", b"", qos=1))
        clock.advance(8)
        client.connection.ping(1)
        pinged_s = clock.monotonic() + 0.001
        clock.advance(60)
        assert watched == [pytest.approx(pinged_s + 15)]
        assert client.noted[-1][1] == "lost keep alive timeout"
        assert broker.counts.wills == 1
        assert broker.connections == []


def test_expiry(clock: SimClock, connect: Connect) -> None:
    """On MQTT 5 a message expires where it waits, retained or queued, and says what is left."""
    with SimBroker(clock) as broker:
        old = connect(broker, "old", mqtt5=True, clean=False)
        old.connection.subscribe(1, [("q/#", 1)])
        clock.advance(0.1)
        old.connection.goodbye()
        clock.advance(0.1)
        for topic, expiry_s in (("q/short", 5), ("q/long", 50), ("r", 5)):
            payload = topic.encode()
            broker.publish(Publication(topic, payload, 1, topic == "r", expiry_s, "beside"))
        clock.advance(10)
        assert broker.retained == {}
        back = connect(broker, "old", mqtt5=True, clean=False)
        back.connection.subscribe(1, [("r", 1)])
        clock.advance(1)
        (left,) = back.publications
        assert (left.payload, left.properties) == (b"q/long", "beside")
        assert left.expiry_s == pytest.approx(40, abs=0.1)
        assert broker.counts.expired == 1


def test_on_3_1_1_there_is_nothing_beside(clock: SimClock, connect: Connect) -> None:
    """A client of the older protocol sends no expiry and no properties."""
    with SimBroker(clock) as broker:
        connection = connect(broker).connection
        connection.publish(1, Publication("a", b"x", 1, True, 5, "beside"))
        clock.advance(100)
        (kept,) = broker.retained.values()
        assert (kept.expiry_s, kept.properties) == (None, None)


def test_a_queue_is_bounded(clock: SimClock, connect: Connect) -> None:
    """Of more messages than there is room for a client that is away the newest go, counted."""
    with SimBroker(clock) as broker:
        gone = connect(broker, clean=False)
        gone.connection.subscribe(1, [("a", 1)])
        clock.advance(0.1)
        gone.connection.goodbye()
        clock.advance(0.1)
        for number in range(MAX_QUEUED + 5):
            broker.publish(Publication("a", b"%d" % number, qos=1))
        assert broker.counts.dropped == 5
        back = connect(broker, clean=False)
        clock.advance(10)
        assert [p.payload for p in back.publications] == [b"%d" % n for n in range(MAX_QUEUED)]


@pytest.mark.parametrize("what", ["publish", "subscribe"])
def test_nonsense_ends_the_connection(clock: SimClock, connect: Connect, what: str) -> None:
    """A topic or filter that there cannot be is a fault of the protocol: the client is out."""
    with SimBroker(clock) as broker:
        client = connect(broker, will=Publication("will", b"gone", retain=True))
        if what == "publish":
            client.connection.publish(1, Publication("a/#", b"", qos=1))
        else:
            client.connection.subscribe(1, [("a/b#", 1)])
        clock.advance(1)
        assert client.noted[-1][1].startswith("lost topic")
        assert "will" in broker.retained


def test_it_keeps_what_it_has(clock: SimClock, connect: Connect) -> None:
    """A broker that is stopped without forgetting has retained messages and kept sessions."""
    with SimBroker(clock) as broker:
        client = connect(broker, clean=False)
        client.connection.subscribe(1, [("a", 1)])
        broker.publish(Publication("r", b"1", retain=True))
        clock.advance(1)
        broker.stop(forget=False)
        with pytest.raises(LifecycleError, match="the broker is away"):
            broker.publish(Publication("a", b""))
        clock.advance(1)
        broker.start()
        broker.publish(Publication("a", b"waits", qos=1))
        back = connect(broker, clean=False)
        clock.advance(1)
        assert [each.payload for each in back.publications] == [b"waits"]
        assert list(broker.retained) == ["r"]


def test_a_client_can_be_cut_off(clock: SimClock, connect: Connect) -> None:
    """A cut brings the will; a client that there is not is named with those that there are."""
    with SimBroker(clock) as broker:
        client = connect(broker, "c1", will=Publication("will", b"", 1))
        with pytest.raises(InvalidValueError, match="no client 'c2' is connected; there is: c1"):
            broker.cut("c2")
        broker.cut("c1")
        clock.advance(1)
        assert client.noted[-1][1] == "lost"
        assert broker.counts.wills == 1


def test_dead_air(clock: SimClock, connect: Connect) -> None:
    """Where nothing comes through nobody is told; who connects gives up after 5 s."""
    with SimBroker(clock) as broker:
        client = connect(broker, keepalive_s=10)
        clock.advance(1)
        broker.troubles.dead_air = True
        broker.deaden()
        client.connection.publish(1, Publication("a", b"", qos=1))
        begun_s = clock.monotonic()
        with pytest.raises(TimeoutError):
            connect(broker, "new")
        assert clock.monotonic() - begun_s == 5
        broker.troubles.dead_air = False
        clock.advance(60)
        assert [what for _, what in client.noted] == ["accepted"]
        assert broker.counts.received == 0
        new = connect(broker, "new")
        clock.advance(1)
        assert [what for _, what in new.noted] == ["accepted"]


@pytest.mark.parametrize("what", ["stops", "dies"])
def test_who_is_just_connecting_is_concerned_too(clock: SimClock, what: str) -> None:
    """A client that has reached the broker, and not been heard yet, is no exception."""
    with SimBroker(clock) as broker:
        client = Client(clock)
        client.connection = broker.connect(Hello("c"), client, clock.Event())
        if what == "stops":
            broker.stop()
        else:
            broker.deaden()
        clock.advance(100)
        assert [said for _, said in client.noted] == (["lost"] if what == "stops" else [])
        assert broker.counts.connects == 0
        assert client.connection.close(1.0)


def test_late_messages_keep_the_order_of_their_topic(clock: SimClock, connect: Connect) -> None:
    """Each is as late as is said, but none overtakes another of its topic, also after the end."""
    with SimBroker(clock) as broker:
        client = connect(broker)
        client.connection.subscribe(1, [("#", 1)])
        clock.advance(1)
        late = iter([10.0, 1.0, 0.5])
        broker.troubles.lateness_s = partial(next, late)
        client.noted.clear()
        for number, topic in enumerate("aab", 2):
            client.connection.publish(number, Publication(topic, topic.encode() * number, qos=1))
            clock.advance(0.1)
        broker.troubles.lateness_s = None
        client.connection.publish(9, Publication("a", b"a9", qos=1))
        clock.advance(20)
    arrived = [what for _, what in client.noted if not str(what).startswith(("ack", "lost"))]
    assert arrived == ["bbbb", "aa", "aaa", "a9"]


def test_what_comes_twice_is_marked(clock: SimClock, connect: Connect) -> None:
    """A message that is delivered twice is so with its number, the second time marked."""
    with SimBroker(clock) as broker:
        client = connect(broker)
        client.connection.subscribe(1, [("#", 1)])
        clock.advance(1)
        client.noted.clear()
        broker.troubles.duplicates = iter([True, False]).__next__
        broker.publish(Publication("a", b"1", qos=1))
        broker.publish(Publication("a", b"2", qos=1))
        clock.advance(1)
        assert [what for _, what in client.noted] == ["1", ("1", "again"), "2"]
