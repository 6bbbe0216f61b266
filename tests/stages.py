"""Stages: the same tests on a real mosquitto in real time and on the in-process broker."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from edgekernel import Clock, SystemClock
from edgekernel.mqtt.sim_transport import SimTransport
from edgekernel.mqtt.transport import NOTHING_BESIDE, Medium, Properties
from edgekernel.sim import SimClock
from edgekernel.sim.broker import Connection, Hello, Publication, SimBroker
from tests.brokers import HOST, LIMIT_S, Mosquitto

USERS = {"me": "right"}


class Got(NamedTuple):
    """A message as a peer has got it."""

    topic: str
    payload: bytes
    qos: int
    retained: bool
    again: bool
    beside: Properties = NOTHING_BESIDE

    @property
    def document(self) -> Any:
        """The payload as JSON."""
        return json.loads(self.payload)


class Options(NamedTuple):
    """How a peer connects."""

    clean: bool = True
    keepalive_s: int = 60
    will: Publication | None = None
    acknowledges: bool = True
    """Whether it acknowledges what it gets."""
    login: tuple[str, str] = ("", "")
    mqtt5: bool = False


class Peer(Protocol):
    """A client that is none of ours, and that does not come back by itself."""

    received: list[Got]
    session_present: bool | None
    refused: str
    lost: bool

    def subscribe(self, filter: str, qos: int = 1) -> None:
        """Subscribe, and wait until it is there."""
        ...

    def publish(
        self,
        topic: str,
        payload: object,
        qos: int = 1,
        retain: bool = False,
        beside: Properties = NOTHING_BESIDE,
    ) -> None:
        """Publish; at QoS 1 wait for the acknowledgement. What is no text goes as JSON."""
        ...

    def drop(self) -> None:
        """End the connection without a goodbye."""
        ...

    def fall_silent(self) -> None:
        """Send nothing any more, not even pings, and leave the connection open."""
        ...

    def close(self) -> None:
        """Say goodbye. Closing twice is harmless."""
        ...


class Stage(Protocol):
    """A broker, started, and the time that passes on it."""

    clock: Clock
    port: int
    medium: Medium | None

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Let time pass until a condition holds, at most a limit that is never reached."""
        ...

    def peer(self, client_id: str, **options: Any) -> Peer:
        """Connect a client with `Options`; it is closed at the end."""
        ...

    def kill(self) -> None:
        """End the broker without a goodbye; what it kept is gone."""
        ...

    def start(self) -> None:
        """Start it again."""
        ...

    def freeze(self) -> None:
        """Let the broker hear and say nothing, with its connections open."""
        ...

    def thaw(self) -> None:
        """Let it go on."""
        ...


class RealStage:
    """A mosquitto."""

    medium: Medium | None = None

    def __init__(
        self,
        folder: Path,
        stack: ExitStack,
        users: dict[str, str] | None = None,
        denied: str = "",
    ) -> None:
        self.clock: Clock = SystemClock()
        self._broker = Mosquitto(folder, users, denied)
        self._stack = stack
        self.port = self._broker.port
        self.start()
        stack.callback(self._broker.stop)

    def until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < end, f"never came: {what}"
            threading.Event().wait(0.002)  # the other side is another process

    def peer(self, client_id: str, **options: Any) -> Peer:
        peer = _RealPeer(self, client_id, Options(**options))
        self._stack.callback(peer.close)
        self.until(lambda: peer.session_present is not None or peer.refused, "an answer")
        return peer

    def kill(self) -> None:
        self._broker.kill()

    def start(self) -> None:
        self._broker.start()

    def freeze(self) -> None:
        self._broker.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._broker.send(signal.SIGCONT)


class _RealPeer:
    def __init__(self, stage: RealStage, client_id: str, options: Options) -> None:
        self.received: list[Got] = []
        self.session_present: bool | None = None
        self.refused = ""
        self.lost = False
        self._stage = stage
        self._subscribed: set[int] = set()
        self._mqtt5 = options.mqtt5
        self._client: paho.Client | None = self._make(client_id, options)
        self._client.connect(HOST, stage.port, options.keepalive_s, **_session(options))
        self._client.loop_start()

    def subscribe(self, filter: str, qos: int = 1) -> None:
        _, number = self._paho.subscribe(filter, qos)
        self._stage.until(lambda: number in self._subscribed, f"subscribed to {filter}")

    def publish(
        self,
        topic: str,
        payload: object,
        qos: int = 1,
        retain: bool = False,
        beside: Properties = NOTHING_BESIDE,
    ) -> None:
        properties = _as_paho(beside) if self._mqtt5 else None
        sent = self._paho.publish(topic, encoded(payload), qos, retain, properties)
        sent.wait_for_publish(LIMIT_S)

    def drop(self) -> None:
        sock: Any = self._paho.socket()
        sock.shutdown(socket.SHUT_RDWR)
        self._end()

    def fall_silent(self) -> None:
        self._paho.loop_stop()

    def close(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._end()

    def _end(self) -> None:
        client = self._paho
        client.loop_stop()
        for name in ("connect", "disconnect", "subscribe", "message", "socket_open"):
            setattr(client, f"on_{name}", None)
        self._client = None

    @property
    def _paho(self) -> paho.Client:
        assert self._client is not None, "it is closed"
        return self._client

    def _make(self, client_id: str, options: Options) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if options.mqtt5 else options.clean,
            protocol=MQTTProtocolVersion.MQTTv5 if options.mqtt5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=not options.acknowledges,
        )
        if options.login[0]:
            client.username_pw_set(*options.login)
        if options.will is not None:
            will = options.will
            client.will_set(will.topic, will.payload, will.qos, will.retain)
        client.on_connect = self._connected
        client.on_disconnect = self._lost
        client.on_subscribe = lambda c, u, number, *_: self._subscribed.add(number)
        client.on_message = lambda c, u, m: self.received.append(
            Got(m.topic, bytes(m.payload), m.qos, m.retain, m.dup, _from_paho(m.properties))
        )
        return client

    def _connected(self, client: object, data: object, flags: Any, reason: Any, _: object) -> None:
        if reason.is_failure:
            self.refused = str(reason).lower()
        else:
            self.session_present = bool(flags.session_present)

    def _lost(self, *_: object) -> None:
        self.lost = True


def _session(options: Options) -> dict[str, Any]:
    """Return what keeps a session on MQTT 5 as `clean` does on 3.1.1."""
    if not options.mqtt5 or options.clean:
        return {}
    kept: Any = PahoProperties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    kept.SessionExpiryInterval = 0xFFFF_FFFF
    return {"clean_start": False, "properties": kept}


def _as_paho(beside: Properties) -> PahoProperties:
    made: Any = PahoProperties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if beside.expiry_s is not None:
        made.MessageExpiryInterval = beside.expiry_s
    if beside.response_topic:
        made.ResponseTopic = beside.response_topic
    if beside.correlation:
        made.CorrelationData = beside.correlation
    if beside.user:
        made.UserProperty = list(beside.user)
    return made  # type: ignore[no-any-return]


def _from_paho(found: Any) -> Properties:
    return Properties(
        getattr(found, "MessageExpiryInterval", None),
        getattr(found, "ResponseTopic", ""),
        getattr(found, "CorrelationData", b""),
        tuple(getattr(found, "UserProperty", ())),
    )


class SimStage:
    """An in-process broker."""

    port = 1883

    def __init__(
        self, stack: ExitStack, users: dict[str, str] | None = None, denied: str = ""
    ) -> None:
        self.sim_clock = stack.enter_context(SimClock())
        self.clock: Clock = self.sim_clock
        self.broker = stack.enter_context(SimBroker(self.sim_clock, users=users))
        self.broker.troubles.denies = denied.__eq__
        self.medium: Medium | None = Medium(SimTransport.to(self.broker), "test")
        self._stack = stack

    def until(self, condition: Callable[[], object], what: str) -> None:
        came = self.sim_clock.run_until(lambda: bool(condition()), LIMIT_S)
        assert came, f"never came: {what}"

    def peer(self, client_id: str, **options: Any) -> Peer:
        peer = _SimPeer(self, client_id, Options(**options))
        self._stack.callback(peer.close)
        self.until(lambda: peer.session_present is not None or peer.refused, "an answer")
        return peer

    def kill(self) -> None:
        self.broker.stop()

    def start(self) -> None:
        self.broker.start()

    def freeze(self) -> None:
        self.broker.troubles.dead_air = True
        self.broker.deaden()

    def thaw(self) -> None:
        self.broker.troubles.dead_air = False


class _SimPeer:
    def __init__(self, stage: SimStage, client_id: str, options: Options) -> None:
        self.received: list[Got] = []
        self.session_present: bool | None = None
        self.refused = ""
        self.lost = False
        self._stage = stage
        self._options = options
        self.done: set[int] = set()
        self._number = 0
        self._closed = False
        clock = stage.clock
        self._silent = clock.Event()
        hello = Hello(
            client_id,
            options.clean,
            options.keepalive_s,
            options.will,
            *options.login,
            mqtt5=options.mqtt5,
        )
        end = _SimEnd(self, options.acknowledges)
        self._connection = end.connection = stage.broker.connect(hello, end, self._silent)
        self._pinger = clock.Thread(self._ping, f"ping {client_id}")
        self._pinger.start()

    def subscribe(self, filter: str, qos: int = 1) -> None:
        number = self._next()
        self._connection.subscribe(number, [(filter, qos)])
        self._stage.until(lambda: number in self.done, f"subscribed to {filter}")

    def publish(
        self,
        topic: str,
        payload: object,
        qos: int = 1,
        retain: bool = False,
        beside: Properties = NOTHING_BESIDE,
    ) -> None:
        number = self._next()
        data = encoded(payload)
        publication = Publication(topic, data, qos, retain, beside.expiry_s, beside)
        self._connection.publish(number, publication)
        if qos:
            self._stage.until(lambda: number in self.done, f"published on {topic}")

    def drop(self) -> None:
        self._connection.hang_up()
        self._end()

    def fall_silent(self) -> None:
        self._silent.set()

    def close(self) -> None:
        if not self._closed:
            self._connection.goodbye()
            self._end()

    def _end(self) -> None:
        self._closed = True
        self._silent.set()
        assert self._connection.close(LIMIT_S)

    def _ping(self) -> None:
        while not self._silent.wait(self._options.keepalive_s):
            self._connection.ping(self._next())

    def _next(self) -> int:
        self._number += 1
        return self._number


class _SimEnd:
    """A peer's end of its connection."""

    connection: Connection

    def __init__(self, peer: _SimPeer, acknowledges: bool) -> None:
        self._peer = peer
        self._acknowledges = acknowledges

    def accepted(self, session_present: bool) -> None:
        self._peer.session_present = session_present

    def refused(self, reason: str) -> None:
        self._peer.refused = reason

    def arrived(self, packet: int, publication: Publication, again: bool) -> None:
        topic, payload, qos, retain = (
            publication.topic,
            publication.payload,
            publication.qos,
            publication.retain,
        )
        beside = publication.properties
        assert isinstance(beside, Properties | None)
        left_s = None if publication.expiry_s is None else ceil(publication.expiry_s)
        beside = replace(beside or NOTHING_BESIDE, expiry_s=left_s)
        self._peer.received.append(Got(topic, payload, qos, retain, again, beside))
        if packet and self._acknowledges:
            self.connection.acknowledge(packet)

    def subscribed(self, number: int) -> None:
        self._peer.done.add(number)

    def acknowledged(self, number: int, refusal: str = "") -> None:
        self._peer.done.add(number)

    def lost(self, reason: str) -> None:
        self._peer.lost = True

    def failed(self, error: Exception) -> None:
        raise error


@contextmanager
def staged(
    kind: str, folder: Path, users: dict[str, str] | None = None, denied: str = ""
) -> Iterator[Stage]:
    """Give a stage: "mosquitto" or "simulated". On the topic `denied` nobody may publish."""
    with ExitStack() as stack:
        if kind == "mosquitto":
            yield RealStage(folder, stack, users, denied)
        else:
            yield SimStage(stack, users, denied)


KINDS = ("mosquitto", "simulated")


def encoded(payload: object) -> bytes:
    """Return a payload as bytes: text as it is, the rest as JSON."""
    if isinstance(payload, bytes):
        return payload
    return (payload if isinstance(payload, str) else json.dumps(payload)).encode()
