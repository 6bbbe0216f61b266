"""What an earlier run of a node has left on the broker: states of devices that are no more, and
those of another layout."""

from __future__ import annotations

from collections.abc import Callable, Container

from edgekernel.mqtt.client import MqttClient
from edgekernel.mqtt.topics import Topics
from edgekernel.mqtt.transport import Inbound


class Leftovers:
    """Clears the retained states that are none of ours now, once on each broker.

    What is retained comes right after a subscription, so the first state of our own that comes
    back says that all has come. Then the subscription is given up, or every state would come back.
    """

    def __init__(
        self, topics: Topics, known: Container[str], clear: Callable[[str], object]
    ) -> None:
        """Prepare; `known` are the topics that there are, `clear` takes one off the broker."""
        self._filters = topics.states
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
        """Take a message if it is a state; say whether it is."""
        if not message.topic.startswith(self._begins):
            return False
        if not message.retained:
            self._end()
        elif message.payload and message.topic not in self._known:
            self._clear(message.topic)
        return True

    def _end(self) -> None:
        if self._client is not None and self._broker not in self._looked:
            self._looked.add(self._broker)
            self._client.unsubscribe(self._filters)
