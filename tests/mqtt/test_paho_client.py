"""What is private to paho, and what happens when it is not there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from edgekernel.mqtt import paho_client
from edgekernel.mqtt.paho_client import MOST_UNANSWERED, Client, PacketNumbers
from edgekernel.mqtt.transport import Outbound
from tests.brokers import LIMIT_S, Mosquitto, Watcher
from tests.mqtt.parts import settings
from tests.mqtt.test_client import linked


def ignore(refusal: str) -> None:
    """Take an answer."""


@given(st.lists(st.booleans(), max_size=60))
def test_no_number_is_used_twice(takes: list[bool]) -> None:
    """However numbers are taken and given back, those in use differ, and come back with what they
    were taken with."""
    numbers, used = PacketNumbers(), list[int]()
    for takes_one in takes:
        if takes_one or not used:
            used.append(numbers.take(ignore))
        else:
            assert numbers.give_back(used.pop(0)) is ignore
        assert len(set(used)) == len(used)
    assert numbers.give_back(65_535) is None


def test_numbers_go_round() -> None:
    """After 65,535 comes 1 again (section 2.2.1), and what is still in use is passed over."""
    numbers = PacketNumbers()
    taken = [numbers.take() for _ in range(MOST_UNANSWERED)]
    assert taken == list(range(1, MOST_UNANSWERED + 1))
    for number in taken[9:]:
        numbers.give_back(number)
    for number in range(MOST_UNANSWERED + 1, 65_536):
        assert numbers.take() == number
    assert numbers.take() == 10


def test_paho_takes_its_numbers_from_the_same(broker: Mosquitto) -> None:
    """A subscription of paho has a number that no message is given."""
    client = Client(CallbackAPIVersion.VERSION2)
    used = [client.numbers.take() for _ in range(3)]
    client.connect("127.0.0.1", broker.port)
    _, number = client.subscribe("a")
    assert client.wire is client.socket()
    assert number not in [*used, client.numbers.take()]
    assert client.raw is not None
    client.raw.close()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_with_another_paho(
    broker: Mosquitto, watcher: Watcher, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """Where paho has another inside all goes through what it offers to everybody."""
    monkeypatch.setattr(paho_client, "PRIVATE", ("_create_socket", "_renamed"))
    with linked(settings(broker.port, protocol=protocol), "in/+") as (client, observer):
        observer.wait("connected")
        watcher.publish("in/1", "hello")
        observer.wait("message: in/1 hello")
        deliveries = [client.publish(Outbound("out", b"%d" % number)) for number in range(50)]
        assert all(each.wait(LIMIT_S) for each in deliveries)
        watcher.wait_for(lambda each: each.payload == b"49")
    assert [each.payload for each in watcher.received if each.topic == "out"] == [
        b"%d" % number for number in range(50)
    ]
