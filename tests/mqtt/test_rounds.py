"""Several brokers in order of preference: which one is tried, and when; in simulated time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise

import pytest

from tests.mqtt.brokers_sim import KEEPALIVE_S, Several, message


@pytest.fixture
def several() -> Iterator[Several]:
    """Three brokers."""
    with ExitStack() as stack:
        yield Several(stack)


def test_the_preferred_one_is_taken(several: Several) -> None:
    """While all are there the link is with the first, and the others hear nothing."""
    client, said = several.start("abc")
    several.clock.advance(3600)
    assert said.texts() == ["connected a:1883"]
    assert client.broker == "a:1883"
    assert [each.counts.connects for each in several.brokers.values()] == [1, 0, 0]


def test_the_next_one_is_taken_at_once(several: Several) -> None:
    """A broker that is away costs no delay: the next is tried in the same round, and what is said
    names each."""
    several.brokers["a"].stop()
    several.brokers["b"].troubles.refuses = True
    _, said = several.start("abc")
    several.clock.advance(0.5)
    refused, not_let_in, connected = said.texts()
    assert refused.startswith("problem a:1883 cannot be reached: connection refused")
    assert not_let_in.startswith("problem b:1883 refused the connection: not authorized")
    assert connected == "connected c:1883"


def test_a_broker_that_swallows_everything(several: Several) -> None:
    """One that does not answer costs its time to connect, 5 s, and one that dies half a
    keep-alive more than the time in which it is found."""
    several.brokers["a"].troubles.dead_air = True
    _, said = several.start("ab")
    several.clock.advance(10)
    assert said.when("connected b:1883") == pytest.approx(5, abs=0.1)
    several.brokers["b"].troubles.dead_air = True
    several.brokers["b"].deaden()
    several.brokers["a"].troubles.dead_air = False
    several.clock.advance(100)
    assert said.when("connected a:1883") - 10 <= 1.5 * KEEPALIVE_S + 1.1


def test_delays_are_counted_over_rounds(several: Several) -> None:
    """With all away each is tried once in a round, and the delays between rounds grow as those of
    a single broker do."""
    for broker in several.brokers.values():
        broker.stop()
    tries: list[tuple[float, str]] = []
    find = dict(several.brokers)

    class Noted(dict):  # type: ignore[type-arg]
        def __getitem__(self, host: str) -> object:
            tries.append((several.clock.monotonic(), host))
            return find[host]

    several.brokers = Noted()
    several.start("abc", reconnect_max_s=60.0)
    several.clock.advance(1800)
    assert "".join(host for _, host in tries).startswith("abcabcabcabc")
    rounds = [tries[index][0] for index in range(0, len(tries), 3)]
    for number, (one_s, two_s) in enumerate(pairwise(rounds)):
        longest_s = min(2.0**number, 60.0)
        assert longest_s / 2 <= two_s - one_s <= longest_s + 0.01
    for (begun_s, _), (ended_s, _) in zip(tries[0::3], tries[2::3], strict=False):
        assert ended_s - begun_s < 0.1


def test_a_broker_that_drops_is_left_for_the_next(several: Several) -> None:
    """A link that does not last counts as a failed attempt, so that a broker that lets the node in
    and throws it out does not keep it from the one that works."""
    _, said = several.start("ab")
    several.clock.advance(1)
    several.brokers["a"].cut("c1")
    several.clock.advance(1)
    assert said.texts()[:3] == [
        "connected a:1883",
        "disconnected a:1883: connection lost",
        "connected b:1883",
    ]


def test_a_lost_link_that_lasted_is_tried_with_the_preferred(several: Several) -> None:
    """After the loss of a good link the first is tried again first, after the usual delay."""
    several.brokers["a"].stop()
    _, said = several.start("ab", back_after_s=86400.0)
    several.clock.advance(100)
    several.brokers["a"].start()
    several.brokers["b"].cut("c1")
    several.clock.advance(2)
    assert said.texts()[-1] == "connected a:1883"
    assert 0.5 <= said.when("connected a") - said.when("disconnected b") <= 1.1


def test_what_was_on_its_way_comes_to_the_next(several: Several) -> None:
    """Messages without an acknowledgement are sent to the next broker, in order, before newer
    ones; the one that was lost may have them too."""
    client, _ = several.start("ab")
    several.clock.advance(20)
    several.brokers["a"].troubles.ack_delay_s = 10
    for number in range(30):
        client.publish(message(number))
    several.clock.advance(1)
    several.brokers["a"].stop()
    client.publish(message(30))
    several.clock.advance(30)
    assert several.payloads("b", "out") == [b"%d" % number for number in range(31)]
    assert several.payloads("a", "out") == [b"%d" % number for number in range(30)]
