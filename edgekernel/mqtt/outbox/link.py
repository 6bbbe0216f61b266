"""What the outbox needs of a link to a broker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from edgekernel.mqtt.transport import Properties

Done = Callable[..., object]
"""Called once when the broker has taken a message: without an argument, or with the reason for
which it refused it. In any thread, also before `publish` has returned."""


class Link(Protocol):
    """Publishes what the outbox gives it, always from the outbox's own thread."""

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool,
        properties: Properties,
        on_done: Done,
    ) -> object:
        """Send a message and return without waiting for the broker.

        Its `properties` are its id and how many seconds it is still of use; only MQTT 5 carries
        them.

        From then on the message is the link's: at QoS 1 it sends it again after a reconnect,
        before it counts as up, until it is acknowledged. A link that forgets it instead is told
        of with `Outbox.down(forgets=True)`, and delivers nothing afterwards. Raises ValueError
        for what can never be sent; whatever else it raises is taken for a passing trouble.
        """
        ...
