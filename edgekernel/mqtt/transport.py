"""The seam between the policy of a link and who speaks MQTT: one connection, used once.

`client` decides when to connect, what to send again and when a link is dead; a transport carries
it out. There are two: `paho_transport` to real brokers, `sim_transport` to the in-process one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from edgekernel.mqtt.tls import Tls

QoS = Literal[0, 1]

Version = Literal["5", "3.1.1"]
"""Of MQTT."""

WRONG_VERSION = "unsupported protocol version"
"""Why a broker that does not speak the version refuses a client, in MQTT 5's words (reason 132)."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a broker listens, and whether with TLS.

    With a `path` it is asked for over websockets (MQTT 3.1.1, section 6).
    """

    host: str
    port: int
    tls: Tls | None = None
    path: str = ""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}{self.path}"


class NoWebsocketError(ConnectionError):
    """Somebody listens there, and opens no websocket."""


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained at QoS 1, when the link breaks."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Login:
    """Who connects, and how; it may be another one at each connect.

    The broker takes the client for gone 1.5 times `keepalive_s` seconds after its last packet.
    With `clean` false the broker keeps subscriptions, and QoS 1 messages for them, while the
    client is away. `version` is the one that is spoken. On MQTT 5 a message by one of the filters
    `as_published` says whether it was published to be retained (section 3.8.3.1).
    """

    client_id: str
    username: str = ""
    password: str = field(default="", repr=False)
    keepalive_s: int = 30
    will: Will | None = None
    clean: bool = True
    version: Version = "5"
    as_published: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Properties:
    """What a message says beside its payload; on MQTT 3.1.1 nothing of it is carried.

    `expiry_s` is after how many seconds the broker may drop it; of a message that has arrived, how
    many were left. Whoever asks gives `response_topic`, and `correlation` that the answer brings
    back. `user` are names and values for whom they concern.
    """

    expiry_s: int | None = None
    response_topic: str = ""
    correlation: bytes = b""
    user: tuple[tuple[str, str], ...] = ()


NOTHING_BESIDE = Properties()

MAX_TOPIC_BYTES = 65_535  # MQTT 3.1.1, 1.5.3
MAX_PAYLOAD_BYTES = 268_435_455 - MAX_TOPIC_BYTES - 4  # of a packet, 2.2.3; less its other parts


@dataclass(frozen=True, slots=True)
class Outbound:
    """A message to publish. Raises ValueError for one that no broker can take."""

    topic: str
    payload: bytes
    qos: QoS = 1
    retain: bool = False
    properties: Properties = NOTHING_BESIDE

    def __post_init__(self) -> None:
        topic = self.topic
        if not topic or "+" in topic or "#" in topic or "\0" in topic:
            raise ValueError(
                f"topic {topic[:200]!r}: at least one character, and none of '+', '#' and NUL"
            )
        if len(topic.encode()) > MAX_TOPIC_BYTES or len(self.payload) > MAX_PAYLOAD_BYTES:
            raise ValueError(
                f"topic {topic[:200]!r}: at most {MAX_TOPIC_BYTES} bytes, with a payload of at "
                f"most {MAX_PAYLOAD_BYTES}"
            )


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message that has arrived. `retained` is true of what the broker had kept before, and where
    the `Login` asks for it of what was published to be kept."""

    topic: str
    payload: bytes
    retained: bool = False
    properties: Properties = NOTHING_BESIDE


class TransportObserver(Protocol):
    """Who is told what happens on a connection, in the transport's own thread.

    What these raise is given to `failed` and does not end the connection.
    """

    def accepted(self, session_present: bool, notes: Sequence[str] = ()) -> None:
        """The broker takes the client; `session_present` if it had a session of it.

        `notes` say, each after the broker's name, what it does otherwise than it was asked to.
        """
        ...

    def refused(self, reason: str) -> None:
        """The broker does not take the client; `reason` in MQTT 5's words, in small letters.

        After a colon the broker's own words may follow.
        """
        ...

    def arrived(self, message: Inbound) -> None:
        """A message has arrived."""
        ...

    def lost(self, reason: str) -> None:
        """The connection has ended; `reason` is empty if nobody gave one."""
        ...

    def failed(self, where: str, error: Exception) -> None:
        """Something that was told has raised."""
        ...


Done = Callable[[], object]
"""Called, in the transport's thread, when the broker has answered."""

Published = Callable[[str], object]
"""Called once when it is known what has become of a message: with the reason for which the broker
does not take it, in MQTT 5's words, empty if it does. On MQTT 3.1.1 no broker says so. In the
transport's thread, or before `publish` returns."""


class Transport(Protocol):
    """One connection. Every method but `connect` is for any thread; none waits for the broker."""

    def connect(self, server: Server, login: Login) -> None:
        """Reach a server and introduce the client; the observer is told the answer.

        Waits until the server is reached. Raises OSError if it cannot be.
        """
        ...

    def subscribe(
        self, filters: Sequence[str], done: Callable[[list[str]], object], qos: QoS = 1
    ) -> None:
        """Subscribe; `done` is given the filters that the broker refuses."""
        ...

    def unsubscribe(self, filters: Sequence[str], done: Done) -> None:
        """Give subscriptions up; `done` when the broker has."""
        ...

    def publish(self, message: Outbound, done: Published) -> None:
        """Send a message; `done` at its acknowledgement, at QoS 0 when it is on its way.

        No more are sent at once than the broker takes. On a connection that is lost nothing
        happens.
        """
        ...

    def probe(self, done: Done) -> None:
        """Ask for a sign of life."""
        ...

    def close(self, timeout_s: float, *, goodbye: bool) -> bool:
        """End it, with the thread that serves it; return whether that took no longer.

        With `goodbye` the broker is told first, so that it keeps the last will to itself.
        Not to be called in the transport's own thread.
        """
        ...


class Around:
    """A transport that passes everything on to another one, for what changes only a part."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    def connect(self, server: Server, login: Login) -> None:
        """Pass on."""
        self._inner.connect(server, login)

    def subscribe(
        self, filters: Sequence[str], done: Callable[[list[str]], object], qos: QoS = 1
    ) -> None:
        """Pass on."""
        self._inner.subscribe(filters, done, qos)

    def unsubscribe(self, filters: Sequence[str], done: Done) -> None:
        """Pass on."""
        self._inner.unsubscribe(filters, done)

    def publish(self, message: Outbound, done: Published) -> None:
        """Pass on."""
        self._inner.publish(message, done)

    def probe(self, done: Done) -> None:
        """Pass on."""
        self._inner.probe(done)

    def close(self, timeout_s: float, *, goodbye: bool) -> bool:
        """Pass on."""
        return self._inner.close(timeout_s, goodbye=goodbye)


MakeTransport = Callable[[TransportObserver], Transport]
"""Makes a transport, for one connection."""


@dataclass(frozen=True, slots=True)
class Medium:
    """Over what a link goes: transports, and the seed of what chance decides; without one it is
    real chance."""

    transport: MakeTransport
    seed: str = ""
