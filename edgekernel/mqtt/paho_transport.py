"""A connection through paho-mqtt, MQTT 3.1.1. Everything known of paho stays in this file.

A client of paho is made for each connection and keeps nothing between two. It must neither come
back by itself, nor end its thread for a callback that raises, which would go unnoticed.
"""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any, TypeVar

from edgekernel.mqtt.transport import (
    Done,
    Inbound,
    Login,
    NoWebsocketError,
    Outbound,
    QoS,
    Server,
    TransportObserver,
)

try:
    from paho.mqtt import client as paho
    from paho.mqtt.enums import CallbackAPIVersion
except ImportError as error:
    raise ImportError(
        "MQTT needs the package paho-mqtt: python -m pip install 'edgekernel[mqtt]'"
    ) from error

_NOBODYS = "$edgekernel/probe"
"""A filter that nobody has subscribed to: to give it up changes nothing, and is acknowledged. It is
the only question of MQTT that paho offers and that leaves nothing behind."""

_SELECT_LIMIT = 1023
"""The highest number of a socket that select(2) takes (FD_SETSIZE of glibc)."""

_NO_REASON = ("unspecified error", "normal disconnection")
"""What paho says of a connection that just ended."""

F = TypeVar("F", bound=Callable[..., Any])


class _Client(paho.Client):
    """A client that knows its socket: paho wraps that of a websocket, and loses it, open, if no
    websocket comes about."""

    raw: socket.socket | None = None

    def _create_socket_connection(self) -> socket.socket:
        self.raw = super()._create_socket_connection()
        return self.raw

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        self.raw = wrapped = super()._ssl_wrap_socket(tcp_sock)
        return wrapped


class PahoTransport:
    """One connection to a real broker; `edgekernel.mqtt.transport.Transport`."""

    def __init__(self, observer: TransportObserver) -> None:
        self._observer = observer
        self._lock = threading.Lock()
        self._asked: dict[int, Callable[[Any], object]] = {}
        self._early: dict[int, Any] = {}  # answered before its number was returned
        self._paho: _Client | None = None

    def connect(self, server: Server, login: Login) -> None:
        """Reach a server and introduce the client.

        Raises OSError if it cannot be reached or trusted, ConfigError if a file for TLS is wrong.
        """
        _check_files()
        client = self._paho = self._make(server, login)
        if server.tls is not None:
            client.tls_set_context(server.tls.context())
        try:
            client.connect(server.host, server.port, login.keepalive_s)
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
        client.loop_start()  # with a thread of its own the order of other threads' messages holds

    def subscribe(
        self, filters: Sequence[str], done: Callable[[list[str]], object], qos: QoS = 1
    ) -> None:
        """Subscribe; `done` is given the filters that the broker refuses."""

        def answered(reasons: Sequence[Any]) -> None:
            done([each for each, r in zip(filters, reasons, strict=False) if r.is_failure])

        if self._paho is not None:
            wanted: list[tuple[str, int]] = [(each, qos) for each in filters]
            _, number = self._paho.subscribe(wanted)
            self._ask(number, answered)

    def unsubscribe(self, filters: Sequence[str], done: Done) -> None:
        """Give subscriptions up; `done` when the broker has."""
        if self._paho is not None:
            _, number = self._paho.unsubscribe(list(filters))
            self._ask(number, lambda _: done())

    def publish(self, message: Outbound, done: Done) -> None:
        """Send a message; `done` at its acknowledgement, at QoS 0 when it is on its way."""
        if self._paho is not None:
            sent = self._paho.publish(message.topic, message.payload, message.qos, message.retain)
            self._ask(sent.mid, lambda _: done())

    def probe(self, done: Done) -> None:
        """Ask for a sign of life."""
        if self._paho is not None:
            _, number = self._paho.unsubscribe(_NOBODYS)
            self._ask(number, lambda _: done())

    def close(self, timeout_s: float, *, goodbye: bool) -> bool:
        """End it, with its thread; return whether that took no longer."""
        client = self._paho
        if client is None:
            return True
        if goodbye:
            client.disconnect()
            if not _ended(client, timeout_s):
                goodbye = False
        if not goodbye:
            _cut(client)
            if not _ended(client, timeout_s):
                return False  # its thread hangs in what it was told to call
        self._paho = None
        _release(client)
        return True

    def _make(self, server: Server, login: Login) -> _Client:
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=login.client_id,
            clean_session=login.clean,
            transport="websockets" if server.path else "tcp",
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
        client.on_publish = self._guarded(self._acknowledged)
        client.on_message = self._guarded(self._arrived)
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
            self._observer.refused(str(reason).lower())
        else:
            self._observer.accepted(bool(flags.session_present))

    def _lost(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        detail = getattr(client.raw, "alert", "") or str(reason).lower()
        self._observer.lost("" if detail in _NO_REASON else detail)

    def _subscribed(
        self, client: paho.Client, userdata: Any, number: int, reasons: Any, properties: Any
    ) -> None:
        self._answer(number, reasons)

    def _acknowledged(
        self, client: paho.Client, userdata: Any, number: int, reason: Any, properties: Any
    ) -> None:
        self._answer(number, reason)

    def _arrived(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        self._observer.arrived(Inbound(message.topic, bytes(message.payload), message.retain))

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
        with self._lock:
            answered = self._asked.pop(number, None)
            if answered is None:
                self._early[number] = reason
        if answered is not None:
            answered(reason)


def _is_no_websocket(server: Server, error: Exception) -> bool:
    """Say whether a server is reached and opens no websocket; paho stumbles over some answers."""
    if not server.path:
        return False
    return isinstance(error, paho.WebsocketConnectionError) or not isinstance(error, OSError)


def _cut(client: _Client) -> None:
    """End the connection without a word; its thread ends when it notices."""
    if client.raw is not None:
        with suppress(OSError):  # it has ended already
            client.raw.shutdown(socket.SHUT_RDWR)


def _ended(client: paho.Client, timeout_s: float) -> bool:
    """Wait for the end of the thread. paho's own join has no limit."""

    def stop() -> None:
        with suppress(AttributeError):  # paho's thread forgets itself when it ends
            client.loop_stop()

    stopper = threading.Thread(target=stop, name="mqtt:stop", daemon=True)
    stopper.start()
    stopper.join(timeout_s)
    return not stopper.is_alive()


def _release(client: paho.Client) -> None:
    """Cut the circle of client and callbacks: paho closes its sockets when it is freed."""
    for name in ("socket_open", "connect", "disconnect", "subscribe", "unsubscribe", "publish"):
        setattr(client, f"on_{name}", None)
    client.on_message = None


def _check_files() -> None:
    """Raise OSError if paho could not wait for a new connection; it would only say that it is lost.

    It makes three sockets, which take the lowest free numbers.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        highest = max(each.fileno() for each in sockets)
    if highest > _SELECT_LIMIT:
        raise OSError(
            errno.EMFILE,
            f"this process has too many open files: paho-mqtt, which waits with select(), can use "
            f"numbers to {_SELECT_LIMIT}, and the next is {highest}; close some, or use more "
            "processes",
        )
