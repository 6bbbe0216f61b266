"""The link to a broker: paho-mqtt behind five methods, MQTT 3.1.1.

Everything known of paho stays in this file. It is made to keep nothing: what is published while
the link is down is for the caller to hold back (see `outgoing`); only what was on its way when
the link broke is sent again by paho, before the link counts as up.
"""

from __future__ import annotations

import random
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from edgekernel.mqtt.settings import Settings

try:
    from paho.mqtt import client as paho
    from paho.mqtt.enums import CallbackAPIVersion
except ImportError as error:
    raise ImportError(
        "MQTT needs the package paho-mqtt: python -m pip install 'edgekernel[mqtt]'"
    ) from error

_SUSPICIOUS = 3
"""Links in a row that did not last, after which it is told."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained at QoS 1, when the link breaks."""

    topic: str
    payload: bytes


class LinkObserver(Protocol):
    """Who is told what happens on the link; called in the network thread, so be brief.

    What these raise is given to `failed` and does not end the link.
    """

    def connected(self) -> None:
        """The broker has accepted the client and its subscriptions."""
        ...

    def disconnected(self, reason: str) -> None:
        """The link that was up is down; it will be tried again."""
        ...

    def problem(self, text: str) -> None:
        """Something keeps the link from working; told once per spell, and tried again."""
        ...

    def message(self, topic: str, payload: bytes, retained: bool) -> None:
        """A message has arrived."""
        ...

    def failed(self, where: str, error: Exception) -> None:
        """A callback has raised."""
        ...


class Delivery:
    """Becomes done when the broker has acknowledged a message."""

    def __init__(self, on_done: Callable[[], object] | None) -> None:
        self._done = threading.Event()
        self._on_done = on_done

    def wait(self, timeout_s: float) -> bool:
        """Wait for the acknowledgement; False if it takes longer."""
        return self._done.wait(timeout_s)

    def finish(self) -> None:
        """Say that it has been acknowledged."""
        self._done.set()
        if self._on_done is not None:
            self._on_done()


class MqttClient:
    """Keeps a link to the broker: connects, subscribes, and comes back after every failure."""

    def __init__(
        self,
        settings: Settings,
        observer: LinkObserver,
        *,
        client_id: str,
        subscriptions: tuple[str, ...] = (),
        will: Will | None = None,
    ) -> None:
        """Prepare a link; `start` begins to connect. `subscriptions` are filters, at QoS 1."""
        self._settings = settings
        self._observer = observer
        self._subscriptions = subscriptions
        self._lock = threading.Lock()
        self._waiting: dict[int, Delivery] = {}
        self._early: set[int] = set()  # acknowledged before `publish` had returned their number
        self._told: set[str] = set()
        self._failures = 0
        self._short_links = 0
        self._up_since = 0.0
        self._client_id = client_id
        self._closing = False
        self._random = random.Random()
        self.connected = False
        self._paho = self._make(client_id, will)

    def start(self) -> None:
        """Begin to connect, on a thread of its own, and never give up."""
        self._paho.connect_async(
            self._settings.host, self._settings.port, self._settings.keepalive_s
        )
        self._paho.loop_start()

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        on_done: Callable[[], object] | None = None,
    ) -> Delivery:
        """Send a message; `on_done` is called in the network thread when it is acknowledged.

        At QoS 1 it is sent again after a reconnect until it is acknowledged.
        """
        delivery = Delivery(on_done)
        number = self._paho.publish(topic, payload, qos, retain).mid
        with self._lock:
            early = number in self._early
            self._early.discard(number)
            if not early:
                self._waiting[number] = delivery
        if early:
            delivery.finish()
        return delivery

    def close(self, timeout_s: float = 2.0) -> bool:
        """Disconnect cleanly (no last will) and end the thread; False if it takes longer."""
        self._closing = True
        self._paho.disconnect()
        # Its join has no limit, and a name that does not resolve can keep it for a minute.
        stopper = threading.Thread(target=self._paho.loop_stop, name="mqtt:stop", daemon=True)
        stopper.start()
        stopper.join(timeout_s)
        self.connected = False
        if not stopper.is_alive():
            _release(self._paho)
        return not stopper.is_alive()

    def _make(self, client_id: str, will: Will | None) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id)
        if self._settings.username:
            client.username_pw_set(self._settings.username, self._settings.password or None)
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.max_inflight_messages_set(0)  # the window is the caller's
        client.on_socket_open = self._guarded(self._socket_opened)
        client.on_connect = self._guarded(self._answered)
        client.on_subscribe = self._guarded(self._subscribed)
        client.on_disconnect = self._guarded(self._lost)
        client.on_connect_fail = self._guarded(self._not_reached)
        client.on_publish = self._guarded(self._acknowledged)
        client.on_message = self._guarded(self._arrived)
        return client

    def _guarded(self, callback: F) -> F:
        """Keep what a callback raises from ending paho's thread, which would go unnoticed."""

        def call(*args: Any) -> None:
            try:
                callback(*args)
            except Exception as error:
                self._report(callback.__name__.strip("_"), error)

        return call  # type: ignore[return-value]

    def _report(self, where: str, error: Exception) -> None:
        try:
            self._observer.failed(where, error)
        except Exception:
            import logging

            logging.getLogger("edgekernel").exception("mqtt: %s failed", where)

    def _socket_opened(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        # Otherwise two small packets in a row wait for the other side's delayed ACK: 44 ms.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _answered(
        self, client: paho.Client, userdata: Any, flags: Any, reason: Any, properties: Any
    ) -> None:
        if self._closing:  # while it was still connecting
            client.disconnect()
        elif reason.is_failure:
            self._tell(_refusal(self._settings, str(reason)))
        elif self._subscriptions:
            client.subscribe([(each, 1) for each in self._subscriptions])
        else:
            self._up()

    def _subscribed(
        self, client: paho.Client, userdata: Any, number: int, reasons: Any, properties: Any
    ) -> None:
        # Only now, because paho sends what was on its way before the break after on_connect: a
        # state published there would be overtaken by its predecessor.
        refused = [t for t, r in zip(self._subscriptions, reasons, strict=False) if r.is_failure]
        if refused:
            self._tell(
                f"{self._settings.broker} does not let this node subscribe to "
                f"{', '.join(refused)}: no requests reach it; check the broker's access rules"
            )
        self._up()

    def _up(self) -> None:
        self._told.clear()
        self._up_since = time.monotonic()
        self.connected = True
        self._observer.connected()

    def _lost(
        self, client: paho.Client, userdata: Any, flags: Any, reason: Any, properties: Any
    ) -> None:
        if self.connected:
            self._judge_link()
        self._delay_next_attempt()
        if self.connected:
            self.connected = False
            detail = str(reason)
            lost = detail in ("Unspecified error", "Normal disconnection")
            self._observer.disconnected("connection lost" if lost else detail.lower())
            if self._short_links == _SUSPICIOUS:
                self._tell(_contested(self._settings, self._client_id))
        elif not reason.is_failure:
            return  # closed by us before it was up
        elif not self._told:
            self._tell(
                f"{self._settings.broker} closed the connection without an answer; is it an "
                "MQTT broker, and is this port without TLS?"
            )

    def _judge_link(self) -> None:
        """Begin anew with the delays only after a link that lasted, or two clients of one id
        would throw each other off at full speed."""
        if self._closing or time.monotonic() - self._up_since >= self._settings.stable_s:
            self._failures = self._short_links = 0
        else:
            self._short_links += 1

    def _not_reached(self, client: paho.Client, userdata: Any) -> None:
        self._delay_next_attempt()
        self._tell(_unreachable(self._settings, sys.exception()))

    def _acknowledged(
        self, client: paho.Client, userdata: Any, number: int, reason: Any, properties: Any
    ) -> None:
        with self._lock:
            delivery = self._waiting.pop(number, None)
            if delivery is None:
                self._early.add(number)
        if delivery is not None:
            delivery.finish()

    def _arrived(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        self._observer.message(message.topic, bytes(message.payload), message.retain)

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._observer.problem(text)

    def _delay_next_attempt(self) -> None:
        settings = self._settings
        doubled = settings.reconnect_min_s * 2.0 ** min(self._failures, 30)
        self._failures += 1
        # Any number does; paho only adds it to a time, but asks for an int.
        delay_s: Any = min(doubled, settings.reconnect_max_s) * self._random.uniform(0.5, 1.0)
        self._paho.reconnect_delay_set(delay_s, delay_s)


def _contested(settings: Settings, client_id: str) -> str:
    return (
        f"{settings.broker} closed the connection soon after it was made, {_SUSPICIOUS} times in "
        f"a row: another client may use the id {client_id!r}; check mqtt.client_id and the names "
        "of the nodes"
    )


def _refusal(settings: Settings, reason: str) -> str:
    who = f"user {settings.username!r}" if settings.username else "a client without a user name"
    hint = {
        "Bad user name or password": "check mqtt.username and mqtt.password",
        "Not authorized": f"it does not accept {who}: check mqtt.username and mqtt.password",
        "Client identifier not valid": "check mqtt.client_id",
        "Server unavailable": "trying again",
    }.get(reason, "trying again")
    return f"{settings.broker} refused the connection: {reason.lower()}; {hint}"


def _unreachable(settings: Settings, error: BaseException | None) -> str:
    what = f"{settings.broker} cannot be reached"
    if isinstance(error, socket.gaierror):
        return f"{what}: the host name is unknown; check mqtt.host and the name server"
    if isinstance(error, ConnectionRefusedError):
        return f"{what}: connection refused; is the broker running, and is mqtt.port right?"
    if isinstance(error, TimeoutError):
        return f"{what}: no answer; check the network and mqtt.host"
    return f"{what}: {getattr(error, 'strerror', None) or error}; check the network"


def _release(client: paho.Client) -> None:
    """Cut the circle of client and callbacks: paho closes its sockets when it is freed."""
    for name in ("socket_open", "connect", "subscribe", "disconnect", "connect_fail", "publish"):
        setattr(client, f"on_{name}", None)
    client.on_message = None
