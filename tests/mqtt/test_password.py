"""A new password, to the moment: in simulated time, on the in-process broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from edgekernel.mqtt.client import MqttClient
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.sim_transport import SimTransport
from edgekernel.mqtt.transport import Will
from edgekernel.sim import SimClock
from edgekernel.sim.broker import SimBroker
from tests.mqtt.brokers_sim import KEEPALIVE_S, Said, message


class Login:
    """A link with its password in a file, and a broker that asks for it."""

    def __init__(self, clock: SimClock, folder: Path) -> None:
        self.users = {"me": "first"}
        self.clock = clock
        self.broker = SimBroker(clock, users=self.users)
        self.file = folder / "secret"
        self.file.write_text("first\n")
        self.said = Said(clock)
        settings = Settings(
            "a", username="me", password="first", password_file=self.file, keepalive_s=KEEPALIVE_S
        )
        self.client = self.said.client = MqttClient(
            settings,
            self.said,
            client_id="c1",
            will=Will("will", b"gone"),
            clock=clock,
            transport=SimTransport.to(self.broker),
            random=Random(1),
        )


@pytest.fixture
def login(tmp_path: Path) -> Iterator[Login]:
    """Give one that is connected, for a while."""
    with SimClock() as clock:
        made = Login(clock, tmp_path)
        with made.broker:
            made.client.start()
            clock.advance(100)
            yield made
            made.client.close()


@pytest.mark.parametrize("after_s", [0.1, 7.0, 14.9, 22.0])
def test_a_change_is_noticed_in_time(login: Login, after_s: float) -> None:
    """Within half a keep-alive the link ends with a goodbye, and no last will is published; within
    another second the node is back with the new password."""
    login.clock.advance(after_s)
    login.file.write_text("second\n")
    login.users["me"] = "second"
    changed_s = login.clock.monotonic()
    login.clock.advance(KEEPALIVE_S)
    left_s = login.said.when("disconnected a:1883: the password has changed")
    assert left_s - changed_s <= KEEPALIVE_S / 2
    assert login.said.when("connected", 2) - left_s <= 1.1
    assert (login.broker.counts.wills, login.broker.counts.refused) == (0, 0)


def test_a_password_that_stays_ends_no_link(login: Login) -> None:
    """A file that is written anew with the same password changes nothing."""
    login.file.write_text("first\n")
    login.clock.advance(3600)
    assert login.said.texts() == ["connected a:1883"]


def test_a_broker_that_does_not_know_it_yet(login: Login) -> None:
    """The node is refused, which is told once, and tries again until it is let in; what it had to
    say meanwhile comes then."""
    login.file.write_text("second\n")
    login.clock.advance(120)
    login.client.publish(message(1))
    assert len(login.said.texts("problem a:1883 refused the connection: not authorized")) == 1
    assert login.broker.counts.refused > 3
    login.users["me"] = "second"
    login.clock.advance(61)
    assert login.client.connected
    assert login.broker.counts.received == 1
    assert login.broker.counts.wills == 0


def test_a_file_that_cannot_be_read(login: Login) -> None:
    """It is told once, and the link that is up stays up; one that is lost is tried again until the
    file is back."""
    login.file.unlink()
    login.clock.advance(600)
    (problem,) = login.said.texts("problem")
    assert problem.startswith("problem a:1883 cannot be reached again: mqtt.password_file: ")
    assert login.client.connected
    login.broker.cut("c1")
    login.clock.advance(600)
    assert not login.client.connected
    assert len(login.said.texts("problem a:1883 cannot be reached: mqtt.password_file: ")) == 1
    login.file.write_text("first\n")
    login.clock.advance(61)
    assert login.client.connected
