"""Clients that are none of ours, with what a site has issued."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from edgekernel.mqtt.site import Site
from tests.brokers import HOST, LIMIT_S


class Client:
    """A client that is none of ours, with what a site has issued."""

    def __init__(self, port: int, tls: ssl.SSLContext, client_id: str = "", **login: str) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.connected: ReasonCode | None = None
        self.lost = threading.Event()
        self._answers: dict[int, list[ReasonCode]] = {}
        self._changed = threading.Condition()
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        client.tls_set_context(tls)
        if login:
            client.username_pw_set(**login)
        client.on_connect = self._answered
        client.on_disconnect = lambda *_: self._end()
        client.on_connect_fail = lambda *_: self._end()
        client.on_subscribe = lambda c, u, number, codes, p: self._note(number, codes)
        client.on_publish = lambda c, u, number, code, p: self._note(number, [code])
        client.on_message = lambda c, u, m: self._arrived(m)
        self._client = client
        client.connect_async(HOST, port)
        client.loop_start()
        with self._changed:
            self._changed.wait_for(
                lambda: self.connected is not None or self.lost.is_set(), LIMIT_S
            )

    @property
    def let_in(self) -> bool:
        """Whether the broker has accepted it."""
        return self.connected is not None and not self.connected.is_failure

    def publish(self, topic: str, payload: str = "x") -> str:
        """Publish at QoS 1 and return what the broker says."""
        number = self._client.publish(topic, payload, 1).mid
        return str(self._answer(number)[0])

    def subscribe(self, topic: str) -> None:
        """Subscribe and wait for the answer."""
        _, number = self._client.subscribe(topic, 1)
        assert number is not None
        self._answer(number)

    def topics(self) -> set[str]:
        """Return the topics of what has arrived."""
        return {topic for topic, _ in self.messages}

    def wait_for(self, topic: str, payload: bytes | None = None) -> None:
        """Wait until something, or that, has arrived there."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: any(
                    each[0] == topic and payload in (None, each[1]) for each in self.messages
                ),
                LIMIT_S,
            ), topic

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()
        for name in ("connect", "connect_fail", "disconnect", "subscribe", "publish", "message"):
            setattr(self._client, f"on_{name}", None)  # no circle is left: its sockets are closed

    def _end(self) -> None:
        with self._changed:
            self.lost.set()
            self._changed.notify_all()

    def _answered(self, client: Any, user: Any, flags: Any, code: ReasonCode, props: Any) -> None:
        with self._changed:
            self.connected = code
            self._changed.notify_all()

    def _note(self, number: int, codes: list[ReasonCode]) -> None:
        with self._changed:
            self._answers[number] = codes
            self._changed.notify_all()

    def _answer(self, number: int) -> list[ReasonCode]:
        with self._changed:
            assert self._changed.wait_for(lambda: number in self._answers, LIMIT_S)
            return self._answers[number]

    def _arrived(self, message: paho.MQTTMessage) -> None:
        with self._changed:
            self.messages.append((message.topic, bytes(message.payload)))
            self._changed.notify_all()


def trusting(site: Site, folder: Path | None = None) -> ssl.SSLContext:
    """Return what trusts the site, with a node's certificate if its folder is given."""
    context = ssl.create_default_context(cafile=str(site.folder / "broker/ca.crt"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    if folder is not None:
        context.load_cert_chain(folder / "node.crt", folder / "node.key")
    return context


def node(site: Site, name: str, clients: list[Client], client_id: str = "") -> Client:
    """Enroll a node, or take it as it is enrolled, and connect as that node."""
    folder = site.folder / "nodes" / name
    if not folder.exists():
        site.enroll(name)
    client = Client(site.record.node_port, trusting(site, folder), client_id or name)
    clients.append(client)
    return client


def user(site: Site, name: str, password: str, clients: list[Client]) -> Client:
    """Connect as a user."""
    client = Client(site.record.user_port, trusting(site), username=name, password=password)
    clients.append(client)
    return client
