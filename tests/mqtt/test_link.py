"""The policy of a link, to the moment: in simulated time, on the in-process broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from edgekernel.core.clock import NANOSECONDS
from edgekernel.mqtt.client import MqttClient
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.sim_transport import SimTransport
from edgekernel.mqtt.transport import (
    Done,
    Inbound,
    Login,
    MakeTransport,
    Outbound,
    Properties,
    Published,
    QoS,
    Server,
    TransportObserver,
    Will,
)
from edgekernel.sim import SimClock
from edgekernel.sim.agent_clock import AgentClock
from edgekernel.sim.broker import Publication, SimBroker

KEEPALIVE_S = 30


class Observer:
    """Notes what the link says, and when."""

    def __init__(self, clock: SimClock) -> None:
        self.said: list[tuple[float, str]] = []
        self.messages: list[Inbound] = []
        self._clock = clock

    def connected(self) -> None:
        self._say("connected")

    def disconnected(self, reason: str) -> None:
        self._say(f"disconnected: {reason}")

    def problem(self, text: str) -> None:
        self._say(f"problem: {text}")

    def message(self, message: Inbound) -> None:
        self.messages.append(message)

    def failed(self, where: str, error: Exception) -> None:
        raise error

    def when(self, text: str, count: int = 1) -> float:
        """Return when something that begins with `text` was said for the `count`-th time."""
        return [at_s for at_s, each in self.said if each.startswith(text)][count - 1]

    def all(self, text: str) -> list[str]:
        """Return what was said that begins with `text`."""
        return [each for _, each in self.said if each.startswith(text)]

    def _say(self, text: str) -> None:
        self.said.append((self._clock.monotonic(), text))


Start = Callable[..., tuple[MqttClient, Observer]]


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def broker(clock: SimClock) -> Iterator[SimBroker]:
    """A broker on it."""
    with SimBroker(clock) as broker:
        yield broker


@pytest.fixture
def start(clock: SimClock, broker: SimBroker) -> Iterator[Start]:
    """Give a function that starts a client; it is closed at the end."""
    with ExitStack() as stack:

        def start(
            transport: MakeTransport | None = None, seed: int = 1, **options: Any
        ) -> tuple[MqttClient, Observer]:
            observer = Observer(clock)
            own = options.pop("clock", clock)
            client = MqttClient(
                Settings("broker", keepalive_s=KEEPALIVE_S, **options),
                observer,
                client_id=f"c{seed}",
                subscriptions=("in/#",),
                will=Will("will", b"gone"),
                clock=own,
                transport=transport or SimTransport.to(broker),
                random=Random(seed),
            )
            client.start()
            stack.callback(client.close)
            return client, observer

        yield start


def freeze(broker: SimBroker) -> None:
    """Let the links be dead without a word."""
    broker.troubles.dead_air = True
    broker.deaden()


def test_an_idle_link_asks_for_a_sign_of_life(
    clock: SimClock, broker: SimBroker, start: Start
) -> None:
    """Once in a keep-alive the broker hears of a client that has nothing to say, for days."""
    client, observer = start()
    clock.advance(KEEPALIVE_S - 1)
    (connection,) = broker.connections
    assert connection.heard_ns < 1e9
    clock.advance(2)
    assert connection.heard_ns == pytest.approx((KEEPALIVE_S + 0.006) * 1e9, abs=2e6)
    clock.advance(2 * 86400)
    assert client.connected
    assert observer.all("") == ["connected"]


@pytest.mark.parametrize("after_s", [0.5, 10.0, 29.0, 31.0, 44.0])
def test_an_idle_link_that_is_dead_is_found(
    clock: SimClock, broker: SimBroker, start: Start, after_s: float
) -> None:
    """Within 1.5 keep-alives, whenever it died; and no sooner than half a one."""
    _, observer = start()
    clock.advance(after_s)
    freeze(broker)
    clock.advance(100)
    took_s = observer.when("disconnected: no answer for 15 s") - after_s
    assert KEEPALIVE_S / 2 <= took_s <= 1.5 * KEEPALIVE_S


@pytest.mark.parametrize("after_s", [0.5, 10.0, 29.0, 31.0, 44.0])
def test_a_busy_link_that_is_dead_is_found_sooner(
    clock: SimClock, broker: SimBroker, start: Start, after_s: float
) -> None:
    """Within one keep-alive of the first message that stays without an acknowledgement, which is
    sent again on the next link."""
    client, observer = start()
    clock.advance(after_s)
    freeze(broker)
    delivery = client.publish(Outbound("out", b"x"))
    clock.advance(100)
    took_s = observer.when("disconnected: no answer for 15 s") - after_s
    assert KEEPALIVE_S / 2 <= took_s <= KEEPALIVE_S
    broker.troubles.dead_air = False
    assert delivery.wait(100)
    assert broker.counts.received == 1


class Stopping(AgentClock):
    """The clock of an agent that is stopped for a while: it finds itself later."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__(clock)
        self.ahead_s = 0.0
        self.monotonic_ns = lambda: clock.monotonic_ns() + round(self.ahead_s * NANOSECONDS)
        self.wait_until = lambda wake, monotonic_ns: clock.wait_until(
            wake, monotonic_ns - round(self.ahead_s * NANOSECONDS)
        )


@pytest.mark.parametrize("after_s", [0.5, 14.0, 29.0, 31.0])
def test_nothing_is_taken_from_a_link_after_a_standstill(
    clock: SimClock, broker: SimBroker, start: Start, after_s: float
) -> None:
    """What came late is not done: when a process has stood still for so long that the broker may
    have given it up, what arrives then is not taken, and a new link made; after less it is."""
    stopping = Stopping(clock)
    client, observer = start(SimTransport.to(broker, clock), clock=stopping)
    clock.advance(after_s)
    silent_s = after_s % KEEPALIVE_S
    stopping.ahead_s += 1.5 * KEEPALIVE_S - silent_s - 0.1
    broker.publish(Publication("in/a", b"in time"))
    clock.advance(0.05)
    assert [each.payload for each in observer.messages] == [b"in time"]
    assert observer.all("") == ["connected"]
    stopping.ahead_s += 0.2
    broker.publish(Publication("in/a", b"late"))
    clock.advance(0.5)
    assert observer.all("disconnected")[0].startswith("disconnected: this node stood still")
    clock.advance(KEEPALIVE_S)
    assert client.connected
    broker.publish(Publication("in/a", b"later"))
    clock.advance(1)
    assert [each.payload for each in observer.messages] == [b"in time", b"later"]


def test_what_is_sent_counts_for_the_broker(
    clock: SimClock, broker: SimBroker, start: Start
) -> None:
    """A standstill begins with what the broker has heard last, not with the last look."""
    stopping = Stopping(clock)
    client, observer = start(SimTransport.to(broker, clock), clock=stopping)
    clock.advance(KEEPALIVE_S - 1)
    client.publish(Outbound("out/a", b"x"))
    clock.advance(0.1)
    stopping.ahead_s += KEEPALIVE_S
    broker.publish(Publication("in/a", b"in time"))
    clock.advance(0.05)
    assert [each.payload for each in observer.messages] == [b"in time"]
    assert observer.all("") == ["connected"]


def test_answers_that_come_keep_a_slow_link(
    clock: SimClock, broker: SimBroker, start: Start
) -> None:
    """Many messages at once, each acknowledged later than the one before: as long as answers come
    the link is no dead one, and the broker hears of the client meanwhile."""
    client, observer = start()
    clock.advance(1)
    for number in range(100):
        broker.troubles.ack_delay_s = 0.5 * number
        client.publish(Outbound("out", b""))
        clock.advance(0.002)
    clock.advance(100)
    assert observer.all("") == ["connected"]


class Silent:
    """A server that accepts connections and says nothing."""

    attempts: list[float]

    def __init__(self, clock: SimClock, attempts: list[float], error: OSError | None) -> None:
        self._clock = clock
        self._attempts = attempts
        self._error = error

    def connect(self, server: Server, login: Login) -> None:
        self._attempts.append(self._clock.monotonic())
        if self._error is not None:
            raise self._error

    def subscribe(
        self, filters: Sequence[str], done: Callable[[list[str]], object], qos: QoS = 1
    ) -> None:
        raise AssertionError("nobody has accepted us")

    def publish(self, message: Outbound, done: Published) -> None:
        raise AssertionError("nobody has accepted us")

    def unsubscribe(self, filters: Sequence[str], done: Done) -> None:
        raise AssertionError("nobody has accepted us")

    def probe(self, done: Done) -> None:
        raise AssertionError("nobody has accepted us")

    def close(self, timeout_s: float, *, goodbye: bool) -> bool:
        return True


def silent(clock: SimClock, attempts: list[float], error: OSError | None = None) -> MakeTransport:
    """Make transports to such a server, or to none."""

    def make(observer: TransportObserver) -> Silent:
        return Silent(clock, attempts, error)

    return make


def test_a_server_that_says_nothing_is_told(clock: SimClock, start: Start) -> None:
    """Who accepts and does not answer is given up after half a keep-alive, told once, and tried
    again; before that he has 3 s for MQTT 5, which he may not know."""
    attempts: list[float] = []
    client, observer = start(silent(clock, attempts))
    clock.advance(300)
    (problem,) = observer.all("problem")
    assert "accepts connections, but: no answer for 15 s; is it an MQTT broker" in problem
    assert not client.connected
    assert attempts[1] - attempts[0] == 3
    assert all(later - earlier > 15 for earlier, later in pairwise(attempts[1:]))
    assert len(attempts) > 4


def test_delays_grow_and_vary(clock: SimClock, start: Start) -> None:
    """Each is twice the one before, up to the limit, less up to a half by chance; two nodes do not
    come at the same times."""
    times: list[list[float]] = [[], []]
    for seed, attempts in enumerate(times):
        start(silent(clock, attempts, ConnectionRefusedError()), seed, reconnect_max_s=60.0)
    clock.advance(3600)
    for attempts in times:
        delays = [later - earlier for earlier, later in pairwise(attempts)]
        for number, delay_s in enumerate(delays):
            longest_s = min(2.0**number, 60.0)
            assert longest_s / 2 <= delay_s <= longest_s
    assert not set(times[0][1:]) & set(times[1][1:])


def test_a_link_that_lasted_begins_anew_with_the_delays(
    clock: SimClock, broker: SimBroker, start: Start
) -> None:
    """After an outage and a link of `stable_s` the next attempt comes within a second; after links
    that were shorter the delays grow on, and from the third on it is told."""
    _, observer = start()
    broker.stop()
    clock.advance(600)
    broker.start()
    clock.advance(60 + 11)
    broker.cut("c1")
    clock.advance(3)
    lost_s = observer.when("disconnected", 1)
    assert observer.when("connected", 2) - lost_s <= 1.1
    for count in range(2, 5):
        clock.run_until(lambda count=count: len(observer.all("connected")) >= count)  # type: ignore[misc]
        broker.cut("c1")
        clock.advance(0.1)
    clock.advance(20)
    (contested,) = [p for p in observer.all("problem") if "3 times in a row" in p]
    assert "another client may use the id 'c1'" in contested
    gaps = [
        observer.when("connected", count + 1) - observer.when("disconnected", count)
        for count in range(2, 5)
    ]
    assert gaps[0] <= 2.1
    assert gaps[2] >= 2.0


def test_closing_while_it_connects(clock: SimClock, broker: SimBroker, start: Start) -> None:
    """Close does not wait for a server that does not answer."""
    freeze(broker)
    client, _ = start()
    clock.advance(1)
    begun_s = clock.monotonic()
    client.close(2.0)
    assert clock.monotonic() - begun_s <= 2.0
    clock.advance(0.1)
    assert not [each for each in clock.waiting() if "edgekernel-mqtt" in each]


def test_a_goodbye_keeps_the_will(clock: SimClock, broker: SimBroker, start: Start) -> None:
    """A client that is closed is gone at once, without its will; what was lost has it published."""
    client, _ = start()
    clock.advance(1)
    assert client.close()
    clock.advance(1)
    assert (broker.connections, broker.counts.wills) == ([], 0)
    start(seed=2)
    clock.advance(1)
    broker.cut("c2")
    assert broker.retained["will"].payload == b"gone"


class Reluctant(SimTransport):
    """A connection whose broker refuses the first subscriptions."""

    refusals = 0

    def subscribe(
        self, filters: Sequence[str], done: Callable[[list[str]], object], qos: QoS = 1
    ) -> None:
        if Reluctant.refusals:
            Reluctant.refusals -= 1
            super().subscribe(["nobody"], lambda _: done(list(filters)), qos)
        else:
            super().subscribe(filters, done, qos)


def test_what_was_refused_is_asked_for_again(
    clock: SimClock, broker: SimBroker, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused subscription is told once and tried again, at least twice in a keep-alive, until
    the broker takes it: a cluster that elects a leader refuses what it takes later."""
    monkeypatch.setattr(Reluctant, "refusals", 3)
    _, observer = start(Reluctant.to(broker))
    clock.advance(1)
    assert len(observer.all("problem: broker:1883 does not let this node subscribe to in/#")) == 1
    broker.publish(Publication("in/1", b"early", 1))
    clock.advance(1.5 * KEEPALIVE_S)
    broker.publish(Publication("in/1", b"late", 1))
    clock.advance(1)
    assert observer.messages == [Inbound("in/1", b"late")]
    assert len(observer.all("")) == 2


def test_properties_go_both_ways_on_5_only(
    clock: SimClock, broker: SimBroker, start: Start
) -> None:
    """What a message says beside its payload comes with it, and what is left of its time; the older
    protocol carries nothing of it in either direction."""
    beside = Properties(60, "in/reply", b"\0\1", (("trace", "t"),))
    new, observer = start()
    old, elder = start(seed=2, protocol="3.1.1")
    clock.advance(1)
    new.publish(Outbound("in/1", b"x", retain=True, properties=beside))
    clock.advance(20)
    _, late = start(seed=3)
    clock.advance(1)
    assert observer.messages == [Inbound("in/1", b"x", properties=beside)]
    assert elder.messages == [Inbound("in/1", b"x")]
    assert late.messages == [Inbound("in/1", b"x", True, replace(beside, expiry_s=40))]
    old.publish(Outbound("in/2", b"y", properties=beside))
    clock.advance(1)
    assert observer.messages[-1] == Inbound("in/2", b"y")


def test_a_broker_of_3_1_1_in_simulated_time(
    clock: SimClock, broker: SimBroker, start: Start
) -> None:
    """The client is up within milliseconds, nothing is told, and an upgrade is noticed."""
    broker.versions = ("3.1.1",)
    client, observer = start()
    clock.advance(0.1)
    assert observer.all("") == ["connected"]
    assert (client.version, broker.counts.refused) == ("3.1.1", 1)
    broker.cut("c1")
    clock.advance(30)
    assert (client.version, broker.counts.refused) == ("3.1.1", 1)
    broker.stop()
    broker.versions = ("3.1.1", "5")
    clock.advance(60)
    broker.start()
    clock.advance(60)
    assert client.version == "5"


def test_only_5_is_told(clock: SimClock, broker: SimBroker, start: Start) -> None:
    """Who insists on 5 is told what to check."""
    broker.versions = ("3.1.1",)
    client, observer = start(protocol="5")
    clock.advance(30)
    (problem,) = observer.all("problem")
    assert "refused the connection: unsupported protocol version; check mqtt.protocol" in problem
    assert client.version is None
