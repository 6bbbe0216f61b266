"""Subscriptions that come and go, the same on a real mosquitto and on the in-process broker."""

from __future__ import annotations

from edgekernel.mqtt.client import MqttClient
from edgekernel.mqtt.transport import Inbound
from tests.mqtt.parts import settings
from tests.stages import Stage


class Sink:
    """An observer that keeps what arrives."""

    def __init__(self) -> None:
        self.topics: list[str] = []
        self.up = 0

    def connected(self) -> None:
        self.up += 1

    def disconnected(self, reason: str) -> None: ...

    def problem(self, text: str) -> None: ...

    def message(self, message: Inbound) -> None:
        self.topics.append(message.topic)

    def failed(self, where: str, error: Exception) -> None:
        raise error


def test_what_is_given_up_does_not_come(stage: Stage) -> None:
    """A filter that is subscribed to brings what is retained and what comes, until it is given up;
    then others still come, and after a reconnect it is the same."""
    peer = stage.peer("peer")
    peer.publish("a/1", "old", retain=True)
    sink = Sink()
    transport = stage.medium.transport if stage.medium else None
    client = MqttClient(
        settings(stage.port), sink, client_id="c1", clock=stage.clock, transport=transport
    )
    client.start()
    stage.until(lambda: sink.up == 1, "a link")
    client.subscribe(("a/+", "b/+"))
    stage.until(lambda: "a/1" in sink.topics, "what is retained")
    gone: list[list[str]] = []
    client.unsubscribe(("a/+",))
    client.subscribe(("c/+",), gone.append)
    stage.until(lambda: gone == [[]], "both answers")
    peer.publish("a/2", "new")
    peer.publish("b/2", "new")
    stage.until(lambda: "b/2" in sink.topics, "the other filter")
    stage.kill()
    stage.start()
    stage.until(lambda: sink.up == 2, "another link")
    again = stage.peer("again")
    again.publish("a/3", "new")
    again.publish("b/3", "new")
    stage.until(lambda: "b/3" in sink.topics, "the other filter, again")
    assert not {"a/2", "a/3"} & set(sink.topics)
    assert client.close(10)
