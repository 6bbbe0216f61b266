"""What the broker knows of a client, also while it is away if that was asked for."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from edgekernel.sim.broker.counts import Counts
from edgekernel.sim.broker.packets import Held, Hello, Publication
from edgekernel.sim.broker.topics import matches
from edgekernel.sim.broker.troubles import Troubles

if TYPE_CHECKING:
    from edgekernel.sim.broker.connection import Connection

MAX_IN_FLIGHT = 20
"""Messages on their way to a client without an acknowledgement, as on mosquitto."""

MAX_QUEUED = 1000
"""Messages that wait for a client; of more the newest are dropped, as on mosquitto."""


class Session:
    """The subscriptions of a client, and the messages on their way to it.

    One that is not clean outlives its connections: messages at QoS 1 wait, and those without an
    acknowledgement are sent again, before the others (MQTT 3.1.1, 4.4).
    """

    def __init__(self, hello: Hello, counts: Counts, troubles: Troubles) -> None:
        self.clean = hello.clean
        self.mqtt5 = hello.mqtt5
        self.as_published = hello.as_published
        self.subscriptions: dict[str, int] = {}
        """The QoS of each filter."""
        self.connection: Connection | None = None
        self._counts = counts
        self._troubles = troubles
        self._queue: deque[tuple[Held, int, bool]] = deque()
        self._in_flight: dict[int, tuple[Held, int, bool]] = {}
        self._number = 0

    def copies_of(self, publication: Publication) -> list[tuple[int, bool]]:
        """Return at which QoS the client gets a message, and as one that is retained or not, for
        each copy of it.

        On MQTT 5 there is one for each filter that matches: 3.3.4 allows it, and mosquitto does so.
        """
        found = [
            (qos, publication.retain and self.mqtt5 and each in self.as_published)
            for each, qos in self.subscriptions.items()
            if matches(each, publication.topic)
        ]
        return found if self.mqtt5 or not found else [max(found)]

    def deliver(self, now_ns: int, held: Held, qos: int, *, retained: bool) -> None:
        """Send a message to the client, or keep it."""
        connection = self.connection
        if min(qos, held.publication.qos) == 0:
            if connection is not None:
                self._send(now_ns, connection, 0, (held, 0, retained), again=False)
            return
        if len(self._queue) >= MAX_QUEUED:
            self._counts.dropped += 1
            return
        self._queue.append((held, qos, retained))
        self._go_on(now_ns)

    def acknowledged(self, now_ns: int, packet: int) -> None:
        """The client has a message."""
        if self._in_flight.pop(packet, None) is not None:
            self._go_on(now_ns)

    def resume(self, now_ns: int, connection: Connection) -> None:
        """The client is back: send again what it has not acknowledged, then what waits."""
        self.connection = connection
        for packet, sent in self._in_flight.items():
            self._send(now_ns, connection, packet, sent, again=True)
        self._go_on(now_ns)

    def _go_on(self, now_ns: int) -> None:
        connection = self.connection
        while connection is not None and self._queue and len(self._in_flight) < MAX_IN_FLIGHT:
            waiting = self._queue.popleft()
            if waiting[0].expired(now_ns):
                self._counts.expired += 1
                continue
            packet = self._next_number()
            self._in_flight[packet] = waiting
            self._send(now_ns, connection, packet, waiting, again=False)
            if self._troubles.duplicates():
                self._send(now_ns, connection, packet, waiting, again=True)

    def _send(
        self,
        now_ns: int,
        connection: Connection,
        packet: int,
        waiting: tuple[Held, int, bool],
        *,
        again: bool,
    ) -> None:
        held, qos, retained = waiting
        mqtt5 = connection.hello.mqtt5
        self._counts.delivered += 1
        connection.deliver(packet, held.at(now_ns, qos, retained=retained, mqtt5=mqtt5), again)

    def _next_number(self) -> int:
        """Return a packet number that is free: 1 to 65535 (MQTT 3.1.1, 2.3.1)."""
        self._number = self._number % 65535 + 1
        return self._number
