"""What an earlier run of a node has left on the broker: states of devices that are no more, those
of another layout, and what it had told of updates and does no more."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from edgekernel.mqtt.client import MqttClient
from edgekernel.mqtt.topics import Topics
from edgekernel.mqtt.transport import Inbound


class Leftovers:
    """Clears what is retained and none of ours now, once on each broker.

    What is retained comes right after a subscription, so the first state of our own that comes
    back says that all has come. Then the subscription is given up, or every state would come back.
    """

    def __init__(
        self,
        topics: Topics,
        known: Sequence[Container[str]],
        clear: Callable[[str], object],
    ) -> None:
        """Prepare; `known` have the topics that there are, `clear` takes one off the broker."""
        self._topics = topics
        self._filters: tuple[str, ...] = (*topics.states, topics.update)
        self._begins = tuple(each.partition("+")[0] for each in topics.states)
        self._known = known
        self._clear = clear
        self._client: MqttClient | None = None
        self._broker = ""
        self._looked: set[str] = set()

    def look(self, client: MqttClient, broker: str) -> None:
        """Called when the link is up and before states are published: look, if not done yet on
        this broker."""
        self._client, self._broker = client, broker
        if broker not in self._looked:
            client.subscribe(self._filters)

    def arrived(self, message: Inbound) -> bool:
        """Take a message if it is on a topic of what is kept; say whether it is."""
        topic = message.topic
        if not topic.startswith(self._begins) and topic != self._topics.update:
            return False
        if not message.retained:
            self._end()
        elif message.payload and not any(topic in each for each in self._known):
            self._clear(topic)
        return True

    def _end(self) -> None:
        if self._client is not None and self._broker not in self._looked:
            self._looked.add(self._broker)
            self._client.unsubscribe(self._filters)
