"""SimBroker: what a node needs of an MQTT broker, on the clock of its simulation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

from edgekernel.core.clock import NANOSECONDS, Clock, EventLike
from edgekernel.core.errors import InvalidValueError, LifecycleError
from edgekernel.sim.broker.connection import Client, Connection
from edgekernel.sim.broker.counts import Counts
from edgekernel.sim.broker.packets import Held, Hello, Publication
from edgekernel.sim.broker.session import Session
from edgekernel.sim.broker.topics import filter_problem, matches, topic_problem
from edgekernel.sim.broker.troubles import Troubles
from edgekernel.sim.schedule import Schedule

CONNECT_TIMEOUT_S = 5.0
"""After how long a client gives up to reach a broker that does not answer; that of paho."""

Watch = Callable[[Publication], object]


class SimBroker:
    """An MQTT broker without a network: MQTT 3.1.1, and of MQTT 5 expiry, properties and reasons.

    QoS 0 and 1, wildcards, retained messages, last wills, clean and kept sessions, one client of
    an id at a time; messages of a topic stay in order. What it does happens in a fiber of the
    clock, so that each run is the same. A context manager; until it is entered, and after, nobody
    reaches it.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        latency_s: float = 0.001,
        ack_delay_s: float = 0.0,
        users: Mapping[str, str] | None = None,
        versions: Collection[str] = ("3.1.1", "5"),
    ) -> None:
        """Everything takes `latency_s` from end to end, and an acknowledgement `ack_delay_s` more,
        as where a broker writes to its disk first. With `users` (passwords by name) all others are
        refused, and so is who speaks none of the `versions`.
        """
        self.clock = clock
        self.counts = Counts()
        self.troubles = Troubles()
        self._latency_s = latency_s
        self._ack_delay_s = ack_delay_s
        self._users = users
        self.versions = versions
        """The versions of MQTT that it speaks."""
        self._schedule = Schedule(clock, "mqtt:broker", self._failed)
        self._connections: dict[Connection, None] = {}
        self._sessions: dict[str, Session] = {}
        self._retained: dict[str, Held] = {}
        self._late_ns: dict[str, int] = {}
        self._watches: list[Watch] = []
        self._runs = False

    def __enter__(self) -> Self:
        self._schedule.start()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._schedule.stop()

    @property
    def runs(self) -> bool:
        """Whether it can be reached."""
        return self._runs

    @property
    def retained(self) -> dict[str, Publication]:
        """What it keeps, by topic."""
        now_ns = self.clock.monotonic_ns()
        return {
            topic: held.publication
            for topic, held in self._retained.items()
            if not held.expired(now_ns)
        }

    @property
    def connections(self) -> list[Connection]:
        """The connections that it holds open."""
        return list(self._connections)

    def start(self) -> None:
        """Let clients come. Starting twice is harmless."""
        self._runs = True

    def stop(self, *, forget: bool = True) -> None:
        """End every connection, without last wills, and refuse new ones until it is started.

        With `forget` sessions and retained messages are gone, as of one that keeps them in memory.
        """
        self._runs = False
        for connection in self.connections:
            self._close(connection, partial(connection.client.lost, ""))
        for session in list(self._sessions.values()):
            session.connection = None
        self._sessions = {i: s for i, s in self._sessions.items() if not (forget or s.clean)}
        if forget:
            self._retained.clear()

    def cut(self, client_id: str) -> None:
        """End the connection of a client, as a network does: with its last will."""
        found = [each for each in self.connections if each.hello.client_id == client_id]
        if not found:
            known = ", ".join(each.hello.client_id for each in self.connections)
            raise InvalidValueError(f"no client {client_id!r} is connected; there is: {known}")
        for connection in found:
            self.ended(connection, "", will=True)

    def cut_all(self) -> None:
        """End the connections of all clients, with their last wills."""
        for connection in self.connections:
            self.ended(connection, "", will=True)

    def deaden(self) -> None:
        """Let nothing come through on the connections that there are, for good."""
        for connection in self.connections:
            connection.is_dead = True

    def client_died(self, clock: Clock, *, silently: bool) -> None:
        """End the connections of those who run on a clock: at once, as of a killed process, with
        the last will; or `silently`, as of a computer without power."""
        for connection in self.connections:
            if connection.clock is clock:
                if silently:
                    connection.is_dead = True
                else:
                    self.ended(connection, "", will=True)

    def connect(
        self, hello: Hello, client: Client, cancel: EventLike, clock: Clock | None = None
    ) -> Connection:
        """Reach the broker and introduce a client, which is told the answer, on its `clock`.

        Raises ConnectionRefusedError if the broker is away, and TimeoutError if nothing comes
        through for 5 s or until `cancel` is set.
        """
        if self.troubles.dead_air:
            cancel.wait(CONNECT_TIMEOUT_S)
            raise TimeoutError("timed out")
        self.clock.sleep(2 * self._latency_s)  # there and back (RFC 9293, 3.5)
        if not self._runs:
            raise ConnectionRefusedError("Connection refused")
        connection = Connection(self, hello, client, self._latency_s, clock or self.clock)
        self._connections[connection] = None
        connection.up(partial(self._introduced, connection))
        return connection

    def publish(self, publication: Publication) -> None:
        """Publish as a client beside the broker, whatever is wrong with links.

        Raises InvalidValueError for a topic that there cannot be, LifecycleError while the broker
        is away.
        """
        if problem := topic_problem(publication.topic):
            raise InvalidValueError(f"{publication.topic!r}: {problem}")
        if not self._runs:
            raise LifecycleError("the broker is away; nobody can publish")
        self._come(Held.since(self.clock.monotonic_ns(), publication))

    def watch(self, watch: Watch) -> Callable[[], None]:
        """Call `watch` with each message that is published; return what ends that."""
        self._watches.append(watch)
        return lambda: self._watches.remove(watch)

    def later(self, seconds: float, call: Callable[[], object]) -> None:
        """Let something happen in the broker's thread."""
        self._schedule.later(seconds, call)

    def published(self, connection: Connection, number: int, publication: Publication) -> None:
        """Called by a connection: a client publishes."""
        if topic_problem(publication.topic):
            self.ended(connection, "topic name invalid", will=True)  # MQTT 3.1.1, 3.3.2.1
            return
        self.counts.received += 1
        mqtt5 = connection.hello.mqtt5
        if not mqtt5:
            publication = replace(publication, expiry_s=None, properties=None)
        denied = self.troubles.denies(publication.topic)
        if not denied:
            self._come(Held.since(self.clock.monotonic_ns(), publication))
        if publication.qos:
            refusal = "not authorized" if denied and mqtt5 else ""  # 3.1.1 has no word for it
            acknowledged = partial(connection.client.acknowledged, number, refusal)
            if delay_s := self._ack_delay_s + self.troubles.ack_delay_s:
                self.later(delay_s, partial(connection.down, acknowledged))
            else:
                connection.down(acknowledged)

    def subscribed(
        self, connection: Connection, number: int, filters: tuple[tuple[str, int], ...]
    ) -> None:
        """Called by a connection: a client subscribes, and gets what is retained."""
        session = connection.session
        if session is None:
            return
        if any(filter_problem(each) for each, _ in filters):
            self.ended(connection, "topic filter invalid", will=True)  # MQTT 3.1.1, 4.7 and 4.8
            return
        session.subscriptions |= dict(filters)
        connection.down(partial(connection.client.subscribed, number))
        now_ns = self.clock.monotonic_ns()
        for filter, qos in filters:
            for topic, held in list(self._retained.items()):
                if matches(filter, topic) and not held.expired(now_ns):
                    session.deliver(now_ns, held, qos, retained=True)

    def unsubscribed(self, connection: Connection, number: int, filters: tuple[str, ...]) -> None:
        """Called by a connection: a client gives subscriptions up."""
        if connection.session is not None:
            for each in filters:
                connection.session.subscriptions.pop(each, None)
            connection.down(partial(connection.client.acknowledged, number))

    def acknowledged(self, connection: Connection, packet: int) -> None:
        """Called by a connection: a client has a message."""
        if connection.session is not None:
            connection.session.acknowledged(self.clock.monotonic_ns(), packet)

    def ended(self, connection: Connection, reason: str, *, will: bool) -> None:
        """Called by a connection: it has ended."""
        if not connection.is_open:
            return
        self._close(connection, partial(connection.client.lost, reason))
        session = connection.session
        if session is not None and session.connection is connection:
            session.connection = None
            if session.clean:
                del self._sessions[connection.hello.client_id]
        last = connection.hello.will
        if will and last is not None and session is not None:
            self.counts.wills += 1
            self._come(Held.since(self.clock.monotonic_ns(), last))

    def _close(self, connection: Connection, tell: Callable[[], object]) -> None:
        connection.is_open = False
        self._connections.pop(connection, None)
        connection.down(tell)

    def _introduced(self, connection: Connection) -> None:
        hello = connection.hello
        if ("5" if hello.mqtt5 else "3.1.1") not in self.versions:
            self._refuse(connection, "unsupported protocol version")
            return
        known = self._users is None or self._users.get(hello.username) == hello.password
        if self.troubles.refuses or not known:
            self._refuse(connection, "not authorized")
            return
        self.counts.connects += 1
        session = self._sessions.get(hello.client_id)
        if session is not None and session.connection is not None:
            taken_over = "session taken over" if session.connection.hello.mqtt5 else ""
            self.ended(session.connection, taken_over, will=True)  # MQTT 3.1.1, 3.1.4
            session = self._sessions.get(hello.client_id)
        present = session is not None and not hello.clean
        if session is None or hello.clean:
            session = Session(hello, self.counts, self.troubles)
            self._sessions[hello.client_id] = session
        session.clean, session.mqtt5 = hello.clean, hello.mqtt5
        session.as_published = hello.as_published
        connection.session = session
        connection.down(partial(connection.client.accepted, present))
        session.resume(self.clock.monotonic_ns(), connection)
        if hello.keepalive_s:
            self._watch_over(connection, round(1.5 * hello.keepalive_s * NANOSECONDS))

    def _refuse(self, connection: Connection, reason: str) -> None:
        self.counts.refused += 1
        self._close(connection, partial(connection.client.refused, reason))

    def _watch_over(self, connection: Connection, limit_ns: int) -> None:
        """End a connection that has been silent for too long (MQTT 3.1.1, 3.1.2.10)."""
        if not connection.is_open:
            return
        due_ns = connection.heard_ns + limit_ns
        if self.clock.monotonic_ns() >= due_ns:
            self.ended(connection, "keep alive timeout", will=True)
        else:
            self._schedule.at(due_ns, partial(self._watch_over, connection, limit_ns))

    def _come(self, held: Held) -> None:
        """Take a message on, late if there is such trouble; never before another of its topic."""
        topic, now_ns = held.publication.topic, self.clock.monotonic_ns()
        due_ns = self._late_ns.pop(topic, now_ns)
        if self.troubles.lateness_s is not None:
            due_ns = max(due_ns, now_ns + round(self.troubles.lateness_s() * NANOSECONDS))
        if due_ns <= now_ns:
            self._route(held)
            return
        self._late_ns[topic] = due_ns
        self._schedule.at(due_ns, partial(self._route_late, held))

    def _route_late(self, held: Held) -> None:
        if self._runs:
            self._route(held)

    def _route(self, held: Held) -> None:
        publication, now_ns = held.publication, self.clock.monotonic_ns()
        if publication.retain:
            self._retained.pop(publication.topic, None)
            if publication.payload:
                self._retained[publication.topic] = held
        for watch in list(self._watches):
            watch(publication)
        for session in list(self._sessions.values()):
            for qos, retained in session.copies_of(publication):
                session.deliver(now_ns, held, qos, retained=retained)

    def _failed(self, error: BaseException) -> None:
        raise error  # a mistake here or in a watch: whoever lets time pass sees it
