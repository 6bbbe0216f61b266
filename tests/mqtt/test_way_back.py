"""The way back to a preferred broker, to the moment; in simulated time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from edgekernel.mqtt.transport import Outbound
from edgekernel.sim.broker import Publication
from tests.mqtt.brokers_sim import Several, message

AFTER_S = 60.0


@pytest.fixture
def several() -> Iterator[Several]:
    """Three brokers."""
    with ExitStack() as stack:
        yield Several(stack)


def test_it_goes_back_when_the_preferred_stays(several: Several) -> None:
    """Not before it has been reachable for the stated time, and within two attempts of it; the
    other is left without a last will."""
    several.brokers["a"].stop()
    client, said = several.start("ab", back_after_s=AFTER_S)
    several.clock.advance(600)
    assert client.broker == "b:1883"
    back_s = several.clock.monotonic()
    several.brokers["a"].start()
    several.clock.advance(120)
    took_s = said.when("connected a:1883") - back_s
    assert AFTER_S <= took_s <= AFTER_S * (1 + 2 / 6) + 1
    assert said.texts("disconnected") == ["disconnected b:1883: a:1883 is back"]
    assert said.when("connected a") - said.when("disconnected b") < 0.1
    assert several.brokers["b"].counts.wills == 0
    assert (several.brokers["b"].connections, several.payloads("b", "will")) == ([], [])


def test_a_preferred_one_that_comes_and_goes_is_not_taken(several: Several) -> None:
    """For hours a broker is there for 50 of every 60 seconds: the link stays where it is."""
    several.brokers["a"].stop()
    _, said = several.start("ab", back_after_s=AFTER_S)
    several.clock.advance(60)
    for _ in range(120):
        several.brokers["a"].start()
        several.clock.advance(50)
        several.brokers["a"].stop()
        several.clock.advance(10)
    assert said.texts("connected") == ["connected b:1883"]


def test_one_that_does_not_keep_the_link_is_waited_for_longer(several: Several) -> None:
    """A broker that takes every attempt and drops every link after a while is gone back to after
    twice the time each time, and after a return that lasted in the usual time again."""
    several.brokers["a"].stop()
    _, said = several.start("ab", back_after_s=AFTER_S)
    several.clock.advance(1)
    several.brokers["a"].start()
    for _ in range(4):
        count = len(said.texts("connected a")) + 1
        several.clock.run_until(lambda count=count: len(said.texts("connected a")) == count)  # type: ignore[misc]
        several.clock.advance(5)
        several.brokers["a"].cut("c1")
    stays = [said.when("disconnected b", n) - said.when("connected b", n) for n in range(1, 5)]
    for number, stay_s in enumerate(stays):
        longest_s = AFTER_S * 2**number
        assert longest_s <= stay_s <= longest_s * 1.34 + 31
    several.clock.run_until(lambda: len(said.texts("connected a")) == 5)
    several.clock.advance(3600)
    several.brokers["a"].stop()
    several.clock.advance(5)
    several.brokers["a"].start()
    several.clock.advance(85)
    assert said.texts()[-1] == "connected a:1883"


def test_it_goes_back_step_by_step(several: Several) -> None:
    """From the third to the second, when that is back, and from there to the first."""
    several.brokers["a"].stop()
    several.brokers["b"].stop()
    _, said = several.start("abc", back_after_s=AFTER_S)
    several.clock.advance(100)
    several.brokers["b"].start()
    several.clock.advance(100)
    several.brokers["a"].start()
    several.clock.advance(100)
    assert [text.split()[1] for text in said.texts("connected")] == ["c:1883", "b:1883", "a:1883"]


def test_a_preferred_one_that_lets_nobody_in(several: Several) -> None:
    """It is not gone back to, and told once, with what to check."""
    several.brokers["a"].troubles.refuses = True
    _, said = several.start("ab", back_after_s=AFTER_S, username="me")
    several.clock.advance(3600)
    kept = said.texts("problem b:1883 is kept")
    assert kept == [
        "problem b:1883 is kept: a:1883 refused the connection: not authorized; it does not accept "
        "user 'me': check mqtt.username and mqtt.password"
    ]
    several.brokers["a"].troubles.refuses = False
    several.clock.advance(100)
    assert said.texts()[-1] == "connected a:1883"


def test_each_broker_has_its_version(several: Several) -> None:
    """The node speaks MQTT 5 with the one and 3.1.1 with the better one that does not take 5, and
    nothing is told of that."""
    several.brokers["a"].versions = ("3.1.1",)
    several.brokers["a"].stop()
    client, said = several.start("ab", back_after_s=AFTER_S)
    several.clock.advance(100)
    assert (client.broker, client.version) == ("b:1883", "5")
    told = len(said.texts("problem"))
    several.brokers["a"].start()
    several.clock.advance(120)
    assert (client.broker, client.version) == ("a:1883", "3.1.1")
    assert len(said.texts("problem")) == told


def test_an_attempt_does_not_harm_the_link(several: Several) -> None:
    """It has an id of its own: on brokers that are one cluster, where a second connection of an id
    ends the first, the link stays."""
    several.brokers["a"].stop()
    _, said = several.start("ab", back_after_s=AFTER_S)
    several.clock.advance(10)
    several.brokers["a"] = several.brokers["b"]
    several.clock.advance(AFTER_S)
    assert said.texts("disconnected") == []
    assert several.brokers["b"].counts.connects > 2


def test_going_back_loses_nothing(several: Several) -> None:
    """With messages all the time each comes to one of the two, and twice only what was on its way;
    what is at the new one is in order."""
    several.brokers["a"].stop()
    client, said = several.start("ab", back_after_s=AFTER_S)
    several.clock.advance(5)
    several.brokers["a"].start()
    several.brokers["b"].troubles.ack_delay_s = 0.4
    done: set[int] = set()
    for number in range(1000):
        client.publish(message(number), lambda number=number: done.add(number))  # type: ignore[misc]
        several.clock.advance(0.1)
    several.clock.advance(5)
    assert said.texts()[-1] == "connected a:1883"
    assert done == set(range(1000))
    at_b, at_a = (list(map(int, several.payloads(host, "out"))) for host in "ba")
    assert sorted({*at_a, *at_b}) == list(range(1000))
    assert at_a == sorted(at_a)
    assert 0 < len(set(at_a) & set(at_b)) <= 6


def test_what_is_said_before_leaving_is_the_last(several: Several) -> None:
    """Whoever uses the link may publish at the broker that is left, and wait for that; no request
    is taken from it any more."""
    said_at_b: list[bool] = []

    def leaving(reason: str) -> None:
        several.brokers["b"].publish(Publication("in/late", b"", 1))
        assert reason == "a:1883 is back"
        delivery = client.publish(Outbound("status", b"left", retain=True))
        said_at_b.append(delivery.wait(1))

    several.brokers["a"].stop()
    client, said = several.start("ab", leaving=leaving, back_after_s=AFTER_S)
    several.clock.advance(5)
    several.brokers["a"].start()
    several.clock.advance(100)
    assert said_at_b == [True]
    assert several.payloads("b", "status") == [b"left"]
    assert several.payloads("a", "status") == []
    assert said.messages == []


def test_a_mistake_before_leaving(several: Several) -> None:
    """What raises then is told, and the way back goes on."""
    failed: list[str] = []

    def leaving(reason: str) -> None:
        raise ZeroDivisionError("oops")

    several.brokers["a"].stop()
    _, said = several.start("ab", leaving=leaving, back_after_s=AFTER_S)
    said.failed = lambda where, error: failed.append(f"{where}: {error}")  # type: ignore[method-assign]
    several.clock.advance(5)
    several.brokers["a"].start()
    several.clock.advance(100)
    assert failed == ["leaving: oops"]
    assert said.texts()[-1] == "connected a:1883"


def test_closing_while_it_looks(several: Several) -> None:
    """An attempt that hangs does not keep the client from its end."""
    several.brokers["a"].troubles.dead_air = True
    client, _ = several.start("ab", back_after_s=AFTER_S)
    several.clock.run_until(lambda: any("way-back" in each for each in several.clock.waiting()))
    several.clock.advance(17)
    begun_s = several.clock.monotonic()
    assert client.close()
    assert several.clock.monotonic() - begun_s <= 2
    several.clock.advance(10)
    assert not [each for each in several.clock.waiting() if "way-back" in each]
