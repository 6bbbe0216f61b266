"""The way of events to the broker: through the outbox of a node that has one, else from memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from edgekernel.core.clock import Clock, utc
from edgekernel.core.messages import Event, Message
from edgekernel.core.telling import Telling
from edgekernel.mqtt.client import MqttClient
from edgekernel.mqtt.encoding import event_body, event_payload, stamp_of, stamped
from edgekernel.mqtt.messages import MqttEventsDropped
from edgekernel.mqtt.outgoing import Outgoing
from edgekernel.mqtt.topics import Topics
from edgekernel.mqtt.transport import Outbound, Properties

if TYPE_CHECKING:
    from edgekernel.node.outbox_table import OutboxPlace

_SETTLE_S = 1.0
_CLOSE_S = 0.5

Tell = Callable[[Message], object]


class EventWay(Protocol):
    """Takes events and sends them while there is a link. Every method is for any thread."""

    def start(self) -> None:
        """Begin to take events."""
        ...

    def send(self, event: Event) -> None:
        """Publish an event, now or when there is a link, after those before it of its topic."""
        ...

    def send_data(self, device: str, body: bytes, monotonic_ns: int) -> None:
        """Publish what was measured from a monotonic time on; a JSON object."""
        ...

    def up(self, client: MqttClient) -> None:
        """There is a link: what waits can go."""
        ...

    def down(self) -> None:
        """There is none."""
        ...

    def close(self) -> None:
        """Send what can be sent at once and keep the rest; nothing comes afterwards."""
        ...

    def counters(self) -> dict[str, Any]:
        """Return what it has done and what waits, ready for JSON."""
        ...


def event_way(
    place: OutboxPlace | None,
    clock: Clock,
    topics: Topics,
    boot: str,
    outgoing: Outgoing,
    tell: Tell,
) -> EventWay:
    """Return the way through an outbox at `place`, or without one through `outgoing`.

    `tell` emits what is to be told and must not wait.
    """
    if place is None:
        return FromMemory(clock, topics, boot, outgoing, tell)
    return ThroughOutbox(place, clock, topics, boot, tell)


class FromMemory:
    """Events wait in memory, and end with the agent."""

    def __init__(
        self, clock: Clock, topics: Topics, boot: str, outgoing: Outgoing, tell: Tell
    ) -> None:
        self._clock = clock
        self._batches = 0
        self._topics = topics
        self._boot = boot
        self._outgoing = outgoing
        self._tell = tell
        self._telling = Telling()

    def start(self) -> None:
        """Need no start."""

    def send(self, event: Event) -> None:
        """Publish an event; tell of earlier ones that were lost, not again and again in an
        overload: what is told waits as an event itself."""
        self._outgoing.event(
            self._topics.event(event.payload.name), event_payload(event, self._boot)
        )
        now_ns = self._clock.monotonic_ns()
        if self._telling.due(now_ns) and (dropped := self._outgoing.take_dropped()):
            self._telling.told(now_ns)
            self._tell(MqttEventsDropped(dropped))

    def send_data(self, device: str, body: bytes, monotonic_ns: int) -> None:
        """Publish what was measured from a monotonic time on."""
        self._batches += 1
        since_ns = self._clock.monotonic_ns() - monotonic_ns
        time = utc(self._clock.time_ns() - since_ns)
        stamp = stamp_of(f"{self._boot}-data-{self._batches}", self._boot, monotonic_ns, time)
        self._outgoing.event(self._topics.data(device), stamped(body, stamp))

    def up(self, client: MqttClient) -> None:
        """Leave it to `Outgoing`, which is told as well."""

    def down(self) -> None:
        """Leave it to `Outgoing`, which is told as well."""

    def close(self) -> None:
        """Keep nothing."""

    def counters(self) -> dict[str, Any]:
        """Return nothing: `Outgoing` counts."""
        return {}


class ThroughOutbox:
    """Events wait in a file, and survive the agent and the power (docs/outbox.md)."""

    def __init__(
        self, place: OutboxPlace, clock: Clock, topics: Topics, boot: str, tell: Tell
    ) -> None:
        from edgekernel.mqtt.outbox import Outbox  # SQLite is not needed without one

        self._topics = topics
        path, table = place
        self._outbox = Outbox(path, clock, boot=boot, table=table, base=topics.base, tell=tell)

    def start(self) -> None:
        """Open the file, in a thread of the outbox."""
        self._outbox.start()

    def send(self, event: Event) -> None:
        """Publish an event; it is safe within the commit interval."""
        topic = self._topics.event(event.payload.name)
        self._outbox.accept(topic, event_body(event), monotonic_ns=event.monotonic_ns)

    def send_data(self, device: str, body: bytes, monotonic_ns: int) -> None:
        """Publish what was measured from a monotonic time on; it is kept as events are."""
        self._outbox.accept(self._topics.data(device), body, monotonic_ns=monotonic_ns)

    def up(self, client: MqttClient) -> None:
        """Let live events go at once and those that wait at their pace."""
        self._outbox.up(OverClient(client))

    def down(self) -> None:
        """Let events wait. What was on its way the client sends again."""
        self._outbox.down()

    def close(self) -> None:
        """Send what is live, then commit the rest and close the file."""
        self._outbox.settle(_SETTLE_S)
        self._outbox.close(_CLOSE_S)

    def counters(self) -> dict[str, Any]:
        """Return what the outbox counts, and why its file cannot be written."""
        return {"outbox": {**self._outbox.counters(), "problem": self._outbox.problem}}


class OverClient:
    """The link of an outbox: an MQTT client, which sends again until there is an answer."""

    def __init__(self, client: MqttClient) -> None:
        self._client = client

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool,
        properties: Properties,
        on_done: Callable[..., object],
    ) -> None:
        """Send a message. Raises ValueError for one that no broker can take."""
        message = Outbound(topic, payload, 1 if qos else 0, retain, properties)
        self._client.publish(message, on_done, on_done)
