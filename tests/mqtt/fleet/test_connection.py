"""A client's connection: subscriptions are shared, and given up when nobody needs them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgekernel.core.errors import ForbiddenError
from edgekernel.mqtt.fleet.connection import Connection
from edgekernel.mqtt.fleet.errors import NoAnswerError
from edgekernel.mqtt.fleet.listening import Arrival
from tests.mqtt.parts import settings
from tests.stages import SimStage, Stage


@pytest.fixture
def connection(stage: Stage) -> Iterator[Connection]:
    """Give a connection to a stage's broker, open."""
    made = Connection(settings(stage.port), 10.0, stage.clock, stage.medium)
    made.open()
    yield made
    made.close()


def test_a_filter_is_held_as_long_as_somebody_needs_it(
    stage: Stage, connection: Connection
) -> None:
    """Who leaves takes nothing from others; when the last one leaves nothing comes any more."""
    peer = stage.peer("peer")
    first, second = connection.listen(("+/status",)), connection.listen(("+/status",))
    connection.leave(first)
    peer.publish("edge/n1/status", {"state": "online"})
    assert isinstance(second.get(10), Arrival)
    assert first.get(0) is None
    connection.leave(second)
    connection.leave(second)
    other = connection.listen(("n1/info",))
    peer.publish("edge/n1/status", {"state": "online"})
    peer.publish("edge/n1/info", {"version": "1"})
    arrival = other.get(10)
    assert isinstance(arrival, Arrival)
    assert arrival.topic == "n1/info"
    if isinstance(stage, SimStage):
        (session,) = [
            each.session for each in stage.broker.connections if "fleet" in each.hello.client_id
        ]
        assert session is not None
        assert list(session.subscriptions) == ["edge/n1/info"]


def test_all_that_is_retained(stage: Stage, connection: Connection) -> None:
    """Of 3,000 retained documents, more than a broker queues for a client, none is missing."""
    peer = stage.peer("peer")
    for number in range(1500):
        peer.publish(f"edge/n{number}/status", {"state": "online"}, qos=0, retain=True)
        peer.publish(f"edge/n{number}/info", {"version": "1"}, qos=0, retain=True)
    peer.publish("edge/n7/status", b"", retain=True)
    found = connection.retained("+/status", "+/info")
    assert len(found) == 2999
    assert found["n0/status"] == b'{"state": "online"}'


def test_what_the_broker_does_not_take_is_told_at_once(sim_stage: SimStage) -> None:
    """On MQTT 5 a question that its access rules forbid is not waited for."""
    sim_stage.broker.troubles.denies = "edge/n1/set/lamp/power".__eq__
    connection = Connection(settings(sim_stage.port), 10.0, sim_stage.clock, sim_stage.medium)
    connection.open()
    with pytest.raises(ForbiddenError, match="does not take what we publish on edge/n1/set/lamp"):
        connection.ask("n1", "set/lamp/power", {"value": True}, 10.0)
    assert sim_stage.clock.monotonic() < 1
    connection.close()


def test_a_question_expires_with_its_asker(sim_stage: SimStage) -> None:
    """The broker is told for how long a question counts, where it can be told."""
    peer = sim_stage.peer("peer", mqtt5=True)
    peer.subscribe("#")
    asked = settings(sim_stage.port, protocol="5")
    connection = Connection(asked, 10.0, sim_stage.clock, sim_stage.medium)
    connection.open()
    with pytest.raises(NoAnswerError):
        connection.ask("n1", "set/lamp/power", {"value": True}, 1.5)
    assert [each.beside.expiry_s for each in peer.received] == [2]
    connection.close()


def test_exact_topics_need_no_pause(stage: Stage, connection: Connection) -> None:
    """When the last of the exact topics has come there is nothing to wait for."""
    stage.peer("peer").publish("edge/n1/info", {"version": "1"}, retain=True)
    if isinstance(stage, SimStage):
        begin_s = stage.clock.monotonic()
        assert list(connection.retained("n1/info")) == ["n1/info"]
        assert stage.clock.monotonic() - begin_s < 0.1
    assert connection.retained("n1/schema") == {}
