"""MQTT 5 first, and 3.1.1 where the broker does not take it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from edgekernel.mqtt.broker import EmbeddedBroker
from edgekernel.mqtt.transport import WRONG_VERSION, Outbound, Server, Will
from edgekernel.mqtt.versions import PATIENCE_S, Versions
from edgekernel.sim import SimClock
from tests.brokers import LIMIT_S, Mosquitto, free_port
from tests.mqtt.parts import settings
from tests.mqtt.scripted_server import CONNECT, Packet, connack, scripted
from tests.mqtt.test_client import linked

SERVER = Server("broker", 1883)


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def versions(clock: SimClock) -> Versions:
    """What is to be spoken by itself."""
    return Versions("auto", clock)


def test_5_is_the_first(versions: Versions) -> None:
    """A server of which nothing is known is asked for MQTT 5, and again if it took it."""
    assert versions.choose(SERVER) == "5"
    versions.accepted(SERVER, "5")
    assert versions.choose(SERVER) == "5"
    assert versions.spoken(SERVER) == "5"
    assert not versions.falls_back(SERVER)


def test_a_refusal_is_remembered_for_an_hour(clock: SimClock, versions: Versions) -> None:
    """Who says that it does not speak 5 is asked for 3.1.1 at once and on later links, and for 5
    again after an hour."""
    versions.refused(SERVER, versions.choose(SERVER), WRONG_VERSION)
    assert versions.falls_back(SERVER)
    assert versions.choose(SERVER) == "3.1.1"
    versions.accepted(SERVER, "3.1.1")
    assert versions.choose(SERVER) == "3.1.1"
    assert not versions.falls_back(SERVER)
    clock.advance(3601)
    assert versions.choose(SERVER) == "5"


def test_another_refusal_says_nothing_about_the_version(versions: Versions) -> None:
    """A wrong password is no reason to try an older protocol."""
    versions.refused(SERVER, versions.choose(SERVER), "not authorized")
    assert not versions.falls_back(SERVER)
    assert versions.choose(SERVER) == "5"


def test_a_server_that_was_away_may_be_another(versions: Versions) -> None:
    """After an outage 5 is tried again: the broker may have been upgraded."""
    versions.refused(SERVER, versions.choose(SERVER), WRONG_VERSION)
    versions.accepted(SERVER, versions.choose(SERVER))
    versions.unreachable(SERVER)
    assert versions.choose(SERVER) == "5"


def test_one_that_hangs_up_is_a_guess_at_first(versions: Versions) -> None:
    """A connection that ends without an answer may be an accident: 5 is tried with the next link
    too, and no longer if it ends like that again."""
    for _ in range(2):
        assert versions.choose(SERVER) == "5"
        versions.unanswered(SERVER, "5")
        assert versions.falls_back(SERVER)
        assert versions.choose(SERVER) == "3.1.1"
        versions.accepted(SERVER, "3.1.1")
    assert versions.choose(SERVER) == "3.1.1"


def test_one_that_answers_to_nothing_is_not_hurried(versions: Versions) -> None:
    """A server that ends both without an answer gets one attempt after each delay."""
    versions.unanswered(SERVER, versions.choose(SERVER))
    versions.unanswered(SERVER, versions.choose(SERVER))
    assert not versions.falls_back(SERVER)
    for version in ("5", "3.1.1", "5"):
        assert versions.choose(SERVER) == version
        versions.unanswered(SERVER, version)
        assert not versions.falls_back(SERVER)


def test_patience_is_short_with_the_unknown_only(versions: Versions) -> None:
    """Who may not know 5 has little time to answer it; who has spoken it has all the time."""
    assert versions.patience_s(SERVER) == PATIENCE_S
    versions.unanswered(SERVER, versions.choose(SERVER))
    assert versions.patience_s(SERVER) is None
    versions.accepted(SERVER, "5")
    versions.unreachable(SERVER)
    assert versions.patience_s(SERVER) is None


@pytest.mark.parametrize("wanted", ["5", "3.1.1"])
def test_what_is_asked_for_is_spoken(clock: SimClock, wanted: Any) -> None:
    """Without "auto" nothing else is tried."""
    versions = Versions(wanted, clock)
    versions.refused(SERVER, versions.choose(SERVER), WRONG_VERSION)
    assert not versions.falls_back(SERVER)
    assert versions.choose(SERVER) == wanted
    assert versions.patience_s(SERVER) is None


def test_mosquitto_speaks_5(broker: Mosquitto) -> None:
    """Nothing has to be said for it."""
    with linked(settings(broker.port)) as (client, observer):
        observer.wait("connected")
        assert client.version == "5"


@pytest.mark.parametrize(
    "login",
    [{}, {"will": Will("gone", b"1")}],
    ids=["which refuses", "which waits for the rest of a last will"],
)
def test_amqtt_speaks_3_1_1(login: dict[str, Any]) -> None:
    """A broker that knows 3.1.1 only is served, whatever it makes of 5, and nothing is told."""
    with ExitStack() as stack:
        amqtt = stack.enter_context(EmbeddedBroker(free_port(), kind="amqtt"))
        client, observer = stack.enter_context(linked(settings(amqtt.port), "in", **login))
        observer.wait("connected")
        assert client.version == "3.1.1"
        assert client.publish(Outbound("in", b"hello")).wait(LIMIT_S)
        observer.wait("message: in hello")
        assert observer.all("") == ["connected", "message: in hello False"]


@pytest.mark.parametrize(
    "answer",
    [
        connack(132),
        connack(1, level=4),
        connack(5, level=4),
        connack(0, level=4),
        None,
    ],
    ids=["reason 132", "return code 1", "another return code", "as if it was 3.1.1", "hangs up"],
)
def test_however_it_is_refused(answer: bytes | None) -> None:
    """3.1.1 follows at once, however a broker shows that it does not take 5."""

    def respond(packet: Packet) -> bytes | None:
        if packet.kind != CONNECT:
            return b""
        return answer if packet.level == 5 else connack(level=4)

    with scripted(respond) as server, linked(settings(server.port)) as (client, observer):
        observer.wait("connected")
        assert client.version == "3.1.1"
        assert [each.level for each in server.of(CONNECT)] == [5, 4]
        assert observer.all("") == ["connected"]
