"""What an earlier run of a node has left on the broker, and the version of its description."""

from __future__ import annotations

import json
from collections.abc import Callable, Container

from edgekernel.mqtt.client import MqttClient
from edgekernel.mqtt.homie.topics import HomieTopics
from edgekernel.mqtt.transport import Inbound


class HomieLeftovers:
    """Clears values, targets and alerts that are of nothing that there is, once on each broker.

    What is retained comes right after a subscription, so the first message of our own that comes
    back says that all has come. Then the subscription is given up.
    """

    def __init__(
        self,
        topics: HomieTopics,
        known: Container[str],
        clear: Callable[[str], object],
        described: Callable[[int, object], object],
    ) -> None:
        """Prepare; `known` are the topics that there are, `clear` takes one off the broker, and
        `described` is given version and document of the description that there was."""
        self._topics = topics
        self._known = known
        self._clear = clear
        self._described = described
        self._client: MqttClient | None = None
        self._broker = ""
        self._looked: set[str] = set()

    def look(self, client: MqttClient, broker: str) -> None:
        """Called when the link is up and before anything is published: look, if not done yet on
        this broker."""
        self._client, self._broker = client, broker
        if broker not in self._looked:
            client.subscribe(self._topics.kept)

    def arrived(self, message: Inbound) -> bool:
        """Take a message if it is on a topic of what is kept; say whether it is."""
        topic = message.topic
        if not self._topics.is_kept(topic):
            return False
        if not message.retained:
            self._end()
        elif topic == self._topics.description:
            self._read(message.payload)
        elif topic != self._topics.state and message.payload and topic not in self._known:
            self._clear(topic)
        return True

    def _read(self, payload: bytes) -> None:
        try:
            document = json.loads(payload)
            version = document.pop("version")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return  # nobody's description: ours takes its place
        if isinstance(version, int):
            self._described(version, document)

    def _end(self) -> None:
        if self._client is not None and self._broker not in self._looked:
            self._looked.add(self._broker)
            self._client.unsubscribe(self._topics.kept)
