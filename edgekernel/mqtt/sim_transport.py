"""A connection to the in-process broker of a simulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import ceil
from typing import cast

from edgekernel.core.clock import Clock
from edgekernel.mqtt.transport import (
    NOTHING_BESIDE,
    Done,
    Inbound,
    Login,
    MakeTransport,
    Outbound,
    Properties,
    Published,
    QoS,
    Server,
    TransportObserver,
    Will,
)
from edgekernel.sim.broker import Connection, Hello, Publication, SimBroker


class SimTransport:
    """One connection to an in-process broker; `edgekernel.mqtt.transport.Transport`."""

    def __init__(
        self, find: Callable[[Server], SimBroker], clock: Clock, observer: TransportObserver
    ) -> None:
        self._find = find
        self._observer = observer
        self._clock = clock
        self._lock = clock.Lock()
        self._closed = clock.Event()
        self._connection: Connection | None = None
        self._number = 0
        self._asked: dict[int, Callable[[str], object]] = {}

    @classmethod
    def to(cls, broker: SimBroker, clock: Clock | None = None) -> MakeTransport:
        """Return what makes transports to a broker, with threads of a clock that is its own unless
        given. Whichever server is asked for, it is that broker."""
        return partial(cls, lambda server: broker, clock or broker.clock)

    @classmethod
    def among(cls, brokers: Mapping[str, SimBroker], clock: Clock) -> MakeTransport:
        """Return what makes transports to several brokers, by their hosts."""
        return partial(cls, lambda server: brokers[server.host], clock)

    def connect(self, server: Server, login: Login) -> None:
        """Reach the broker and introduce the client. Raises OSError if it is away."""
        will = None if login.will is None else _publication(login.will)
        hello = Hello(
            login.client_id,
            login.clean,
            login.keepalive_s,
            will,
            login.username,
            login.password,
            mqtt5=login.version == "5",
            as_published=login.as_published,
        )
        self._connection = self._find(server).connect(hello, self, self._closed, self._clock)

    def subscribe(
        self, filters: Sequence[str], done: Callable[[list[str]], object], qos: QoS = 1
    ) -> None:
        """Subscribe; the broker refuses no filter that there can be."""
        number = self._next_number()
        self._asked[number] = lambda _: done([])
        self._reached.subscribe(number, [(each, qos) for each in filters])

    def unsubscribe(self, filters: Sequence[str], done: Done) -> None:
        """Give subscriptions up; `done` when the broker has."""
        number = self._next_number()
        self._asked[number] = lambda _: done()
        self._reached.unsubscribe(number, filters)

    def publish(self, message: Outbound, done: Published) -> None:
        """Send a message; `done` at its acknowledgement, at QoS 0 at once."""
        properties = None if message.properties == NOTHING_BESIDE else message.properties
        publication = Publication(
            message.topic,
            message.payload,
            message.qos,
            message.retain,
            message.properties.expiry_s,
            properties,
        )
        number = self._next_number()
        if message.qos:
            self._asked[number] = done
        self._reached.publish(number, publication)
        if not message.qos:
            done("")

    def probe(self, done: Done) -> None:
        """Ask for a sign of life."""
        number = self._next_number()
        self._asked[number] = lambda _: done()
        self._reached.ping(number)

    def close(self, timeout_s: float, *, goodbye: bool) -> bool:
        """End it, with its thread; return whether that took no longer."""
        self._closed.set()
        connection = self._connection
        if connection is None:
            return True
        if goodbye:
            connection.goodbye()
        else:
            connection.hang_up()
        return connection.close(timeout_s)

    def accepted(self, session_present: bool) -> None:
        """Called by the connection: the broker takes the client."""
        self._observer.accepted(session_present)

    def refused(self, reason: str) -> None:
        """Called by the connection: the broker does not take the client."""
        self._observer.refused(reason)

    def arrived(self, packet: int, publication: Publication, again: bool) -> None:
        """Called by the connection: a message has come; it is acknowledged when it is handled."""
        topic, payload, retain = publication.topic, publication.payload, publication.retain
        try:
            self._observer.arrived(Inbound(topic, payload, retain, _beside(publication)))
        finally:
            if packet:
                self._reached.acknowledge(packet)

    def subscribed(self, number: int) -> None:
        """Called by the connection: a subscription is there."""
        self._asked.pop(number)("")

    def acknowledged(self, number: int, refusal: str = "") -> None:
        """Called by the connection: the broker has a message, or does not take it, or answers."""
        self._asked.pop(number)(refusal)

    def lost(self, reason: str) -> None:
        """Called by the connection: it has ended."""
        self._observer.lost(reason)

    def failed(self, error: Exception) -> None:
        """Called by the connection: what it told has raised."""
        self._observer.failed("transport", error)

    @property
    def _reached(self) -> Connection:
        assert self._connection is not None, "connect comes first"
        return self._connection

    def _next_number(self) -> int:
        with self._lock:
            self._number += 1
            return self._number


def _beside(publication: Publication) -> Properties:
    """Return what a message says beside its payload, with what is left of its time in seconds."""
    properties = cast(Properties, publication.properties or NOTHING_BESIDE)
    left_s = None if publication.expiry_s is None else ceil(publication.expiry_s)
    return properties if properties.expiry_s == left_s else replace(properties, expiry_s=left_s)


def _publication(will: Will) -> Publication:
    return Publication(will.topic, will.payload, qos=1, retain=True)
