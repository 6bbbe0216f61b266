"""A connection through paho-mqtt, MQTT 5 or 3.1.1. Everything known of paho stays in this file, in
`paho_client`, `paho_loop` and `packed_properties`.

Messages at QoS 1 and their acknowledgements go past paho, on its socket: see `wire`. All else is
paho's.

A client of paho is made for each connection and keeps nothing between two. It must neither come
back by itself, nor end its thread for a callback that raises, which would go unnoticed.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from edgekernel.mqtt.packed_properties import Packed
from edgekernel.mqtt.paho_loop import PahoLoop
from edgekernel.mqtt.publish_packets import (
    PUBACK,
    PUBLISH,
    Packet,
    puback_packet,
    publish_packet,
    read_puback,
    read_publish,
)
from edgekernel.mqtt.send_window import SendWindow
from edgekernel.mqtt.server_terms import NO_TERMS, Terms
from edgekernel.mqtt.transport import (
    NOTHING_BESIDE,
    Done,
    Inbound,
    Login,
    NoWebsocketError,
    Outbound,
    Properties,
    Published,
    QoS,
    Server,
    TransportObserver,
)
from edgekernel.mqtt.wire import Wire

try:
    from paho.mqtt import client as paho
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
    from paho.mqtt.exception import MQTTException
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties as PahoProperties
    from paho.mqtt.reasoncodes import ReasonCode
    from paho.mqtt.subscribeoptions import SubscribeOptions

    from edgekernel.mqtt.paho_client import MOST_UNANSWERED, Client, PacketNumbers
except ImportError as error:
    raise ImportError(
        "MQTT needs the package paho-mqtt: python -m pip install 'edgekernel[mqtt]'"
    ) from error

_NOBODYS = "$edgekernel/probe"
"""A filter that nobody has subscribed to: to give it up changes nothing, and is acknowledged. It is
the only question of MQTT that paho offers and that leaves nothing behind."""


_NO_REASON = ("unspecified error", "normal disconnection")
"""What paho says of a connection that just ended."""

_FOR_EVER_S = 0xFFFF_FFFF
"""As a session's expiry: it never expires (MQTT 5, section 3.1.2.11.2), as one that is not clean
on 3.1.1."""

_MAX_WORDS = 200
"""Characters of what a broker adds to a reason in its own words."""

_TYPE = 0xF0
"""Of a packet, in its first byte."""

_WRONG = (IndexError, KeyError, ValueError, MQTTException, struct.error)
"""What paho's classes raise for what cannot be read."""

F = TypeVar("F", bound=Callable[..., Any])


class PahoTransport:
    """One connection to a real broker; `edgekernel.mqtt.transport.Transport`."""

    def __init__(self, observer: TransportObserver) -> None:
        self._observer = observer
        self._lock = threading.Lock()
        self._asked: dict[int, Callable[[Any], object]] = {}
        self._early: dict[int, Any] = {}  # answered before its number was returned
        self._paho: Client | None = None
        self._mqtt5 = False
        self._as_published: frozenset[str] = frozenset()
        self._keepalive_s = 0
        self._terms = NO_TERMS
        self._window: SendWindow | None = None
        self._wire: Wire | None = None

    def connect(self, server: Server, login: Login) -> None:
        """Reach a server and introduce the client.

        Raises OSError if it cannot be reached or trusted, ConfigError if a file for TLS is wrong.
        """
        self._mqtt5 = login.version == "5"
        self._keepalive_s = login.keepalive_s
        self._as_published = login.as_published
        client = self._paho = self._make(server, login)
        if server.tls is not None:
            client.tls_set_context(server.tls.context())
        try:
            client.connect(server.host, server.port, login.keepalive_s, **_session(login))
        except (OSError, LookupError, ValueError) as error:
            if client.raw is not None:
                client.raw.close()
            if _is_no_websocket(server, error):
                raise NoWebsocketError(str(error)) from None
            raise
        if self._paho is None:  # closed meanwhile
            _cut(client)
            _release(client)
            return
        self._wire = client.wire
        self._loop.start(client.wire)

    def subscribe(
        self, filters: Sequence[str], done: Callable[[list[str]], object], qos: QoS = 1
    ) -> None:
        """Subscribe; `done` is given the filters that the broker refuses."""

        def answered(reasons: Sequence[Any]) -> None:
            done([each for each, r in zip(filters, reasons, strict=False) if r.is_failure])

        if self._paho is not None:
            wanted: list[Any] = [(each, qos) for each in filters]
            if self._mqtt5:
                wanted = [
                    (each, SubscribeOptions(qos, retainAsPublished=each in self._as_published))
                    for each in filters
                ]
            _, number = self._paho.subscribe(wanted)
            self._ask(number, answered)
            self._loop.write()

    def unsubscribe(self, filters: Sequence[str], done: Done) -> None:
        """Give subscriptions up; `done` when the broker has."""
        if self._paho is not None:
            _, number = self._paho.unsubscribe(list(filters))
            self._ask(number, lambda _: done())
            self._loop.write()

    def publish(self, message: Outbound, done: Published) -> None:
        """Send a message; `done` at its acknowledgement, at QoS 0 when it is on its way."""
        if self._terms.max_packet and (refusal := self._terms.too_large(message)):
            done(refusal)
        elif message.qos and self._window is not None:
            self._window.publish(message, done)
        else:
            self._send(message, done)

    def _send(self, message: Outbound, done: Published) -> None:
        if self._paho is None:
            return
        if message.qos and self._wire is not None:
            self._put(self._wire, self._paho.numbers, message, done)
            return
        beside: Any = None
        if self._mqtt5 and message.properties is not NOTHING_BESIDE:
            beside = Packed(message.properties)
        topic, payload = message.topic, message.payload
        sent = self._paho.publish(topic, payload, message.qos, message.retain, beside)
        self._ask(sent.mid, done)
        self._loop.write()

    def _put(self, wire: Wire, numbers: PacketNumbers, message: Outbound, done: Published) -> None:
        number = numbers.take(done)
        try:
            packet = publish_packet(message, number, mqtt5=self._mqtt5)
        except ValueError:
            numbers.give_back(number)
            raise
        wire.put(packet)
        self._loop.write()

    def probe(self, done: Done) -> None:
        """Ask for a sign of life."""
        if self._paho is not None:
            _, number = self._paho.unsubscribe(_NOBODYS)
            self._ask(number, lambda _: done())
            self._loop.write()

    def close(self, timeout_s: float, *, goodbye: bool) -> bool:
        """End it, with its thread; return whether that took no longer."""
        client = self._paho
        if client is None:
            return True
        if goodbye:
            client.disconnect()
            self._loop.write()
            if not self._loop.join(timeout_s):
                goodbye = False
        if not goodbye:
            _cut(client)
            if not self._loop.join(timeout_s):
                return False  # its thread hangs in what it was told to call
        self._paho = None
        _release(client)
        return True

    def _make(self, server: Server, login: Login) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=login.client_id,
            clean_session=None if self._mqtt5 else login.clean,
            transport="websockets" if server.path else "tcp",
            protocol=MQTTProtocolVersion.MQTTv5 if self._mqtt5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        if server.path:
            client.ws_set_options(server.path)
        if login.username:
            client.username_pw_set(login.username, login.password or None)
        if login.will is not None:
            client.will_set(login.will.topic, login.will.payload, qos=1, retain=True)
        client.max_inflight_messages_set(0)  # the window is the caller's
        client.on_socket_open = self._guarded(self._socket_opened)
        client.on_connect = self._guarded(self._answered)
        client.on_disconnect = self._guarded(self._lost)
        client.on_subscribe = self._guarded(self._subscribed)
        client.on_unsubscribe = self._guarded(self._acknowledged)
        client.on_publish = self._guarded(self._published)
        client.on_message = self._guarded(self._arrived)
        self._loop = PahoLoop(
            client, self._hear, self._read, self._guarded(self._observer.arrived),
            self._observer.lost,
        )  # fmt: skip
        return client

    def _guarded(self, callback: F) -> F:
        """Keep what a callback raises from ending paho's thread."""

        def call(*args: Any) -> None:
            try:
                callback(*args)
            except Exception as error:
                self._observer.failed(callback.__name__.strip("_"), error)

        return call  # type: ignore[return-value]

    def _socket_opened(self, client: Any, userdata: Any, sock: Any) -> None:
        # Otherwise two small packets in a row wait for the other side's delayed ACK: 44 ms.
        if client.raw is not None:
            client.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _answered(
        self, client: paho.Client, userdata: Any, flags: Any, reason: Any, properties: Any
    ) -> None:
        if reason.is_failure:
            self._observer.refused(_words(reason, properties))
            return
        if self._mqtt5:
            self._terms = Terms.of(properties)
            if missing := self._terms.missing:
                self._observer.refused(missing)
                return
        window = min(self._terms.window or MOST_UNANSWERED, MOST_UNANSWERED)
        self._window = SendWindow(window, self._send)
        self._observer.accepted(bool(flags.session_present), self._terms.notes(self._keepalive_s))

    def _lost(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        detail = getattr(client.raw, "alert", "") or _words(reason, properties)
        self._observer.lost("" if detail in _NO_REASON else detail)

    def _subscribed(
        self, client: paho.Client, userdata: Any, number: int, reasons: Any, properties: Any
    ) -> None:
        self._answer(number, reasons)

    def _published(
        self, client: paho.Client, userdata: Any, number: int, reason: Any, properties: Any
    ) -> None:
        self._answer(number, _words(reason, properties) if reason.is_failure else "")

    def _acknowledged(
        self, client: paho.Client, userdata: Any, number: int, reason: Any, properties: Any
    ) -> None:
        self._answer(number, reason)

    def _read(self, packet: Packet) -> tuple[Inbound, bytes] | None:
        """Return a message that has arrived and what acknowledges it; None for what is paho's."""
        found = read_publish(packet, mqtt5=self._mqtt5) if packet.first & _TYPE == PUBLISH else None
        if found is None:
            return None
        message, number = found
        return message, puback_packet(number) if number else b""

    def _hear(self, packet: Packet) -> bool:
        """Take what acknowledges a message; False for anything else, and for what is paho's."""
        found = None
        if packet.first & _TYPE == PUBACK:
            found = read_puback(packet, mqtt5=self._mqtt5)
        if found is None or self._paho is None:
            return False
        refusal = ""
        if not found.is_plain:
            try:
                refusal = _refusal(found.reason, found.properties)
            except _WRONG:
                return False
        answered = self._paho.numbers.give_back(found.number)
        if answered is not None:
            try:
                answered(refusal)
            except Exception as error:
                self._observer.failed("published", error)
        return True

    def _arrived(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        beside = NOTHING_BESIDE if message.properties is None else _beside(message.properties)
        self._loop.arrived(Inbound(message.topic, bytes(message.payload), message.retain, beside))

    def _ask(self, number: int | None, answered: Callable[[Any], object]) -> None:
        """Let the answer to a packet come; without a number it was not sent."""
        if number is None:
            return
        with self._lock:
            early = number in self._early
            if not early:
                self._asked[number] = answered
        if early:
            answered(self._early.pop(number))

    def _answer(self, number: int, reason: Any) -> None:
        if self._paho is not None:
            self._paho.numbers.give_back(number)
        with self._lock:
            answered = self._asked.pop(number, None)
            if answered is None:
                self._early[number] = reason
        if answered is not None:
            answered(reason)


def _session(login: Login) -> dict[str, Any]:
    """Return what says on MQTT 5 whether there is a session already, and how long it is kept."""
    if login.version != "5":
        return {}
    if login.clean:
        return {"clean_start": True}
    kept: Any = PahoProperties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    kept.SessionExpiryInterval = _FOR_EVER_S
    return {"clean_start": False, "properties": kept}


def _beside(found: PahoProperties) -> Properties:
    """Return what a message says beside its payload."""
    said = vars(found)
    expiry_s, topic = said.get("MessageExpiryInterval"), said.get("ResponseTopic", "")
    correlation, user = said.get("CorrelationData", b""), said.get("UserProperty", ())
    if expiry_s is None and not (topic or correlation or user):
        return NOTHING_BESIDE
    return Properties(expiry_s, topic, bytes(correlation), tuple(user))


def _refusal(reason: int, properties: bytes) -> str:
    """Return why a message is refused, empty if it is not. Raises one of `_WRONG`."""
    code = ReasonCode(PacketTypes.PUBACK, identifier=reason)
    said: Any = PahoProperties(PacketTypes.PUBACK)  # type: ignore[no-untyped-call]
    if properties:
        said.unpack(properties)
    return _words(code, said) if code.is_failure else ""


def _words(reason: Any, properties: Any) -> str:
    """Return a reason in small letters, with what the broker adds in its own words."""
    said = vars(properties) if properties is not None else {}
    own = [said[each] for each in ("ServerReference", "ReasonString") if each in said]
    return ": ".join([str(reason).lower(), *(text[:_MAX_WORDS] for text in own)])


def _is_no_websocket(server: Server, error: Exception) -> bool:
    """Say whether a server is reached and opens no websocket; paho stumbles over some answers."""
    if not server.path:
        return False
    return isinstance(error, paho.WebsocketConnectionError) or not isinstance(error, OSError)


def _cut(client: Client) -> None:
    """End the connection without a word; its thread ends when it notices."""
    if client.raw is not None:
        with suppress(OSError):  # it has ended already
            # Not the method of an SSLSocket: that gives up encryption first, and somebody may send.
            socket.socket.shutdown(client.raw, socket.SHUT_RDWR)


def _release(client: paho.Client) -> None:
    """Cut the circle of client and callbacks: paho closes its sockets when it is freed."""
    for name in ("socket_open", "connect", "disconnect", "subscribe", "unsubscribe", "publish"):
        setattr(client, f"on_{name}", None)
    client.on_message = None
