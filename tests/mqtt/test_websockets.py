"""A link over websockets to a real mosquitto, with TLS and without."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.transport import Outbound, Server, Will
from tests.brokers import HOST, LIMIT_S, watching
from tests.mqtt.parts import node, settings
from tests.mqtt.test_client import linked
from tests.mqtt.web_broker import WebBroker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[WebBroker]:
    """A broker, started."""
    broker = WebBroker(tmp_path)
    broker.start()
    yield broker
    broker.stop()


def to(server: Server, keepalive_s: int = 30) -> Settings:
    """Return settings for a server."""
    return settings(server.port, tls=server.tls, path=server.path, keepalive_s=keepalive_s)


@pytest.fixture(params=["plain", "encrypted"])
def server(request: pytest.FixtureRequest, broker: WebBroker) -> Server:
    """Where the broker is reached over websockets."""
    return broker.web if request.param == "plain" else broker.secure


def test_messages_go_both_ways(broker: WebBroker, server: Server) -> None:
    """Small ones and large ones, whose length takes three forms in a frame (RFC 6455, 5.2)."""
    payloads = [b"x" * size for size in (0, 1, 100, 126, 1000)]
    large = b"x" * 200_000  # one way: mosquitto sends such a one in pieces of 2 KB, 44 ms each
    with watching(broker.port) as watcher, linked(to(server), "in/#") as (client, observer):
        observer.wait("connected")
        for payload in payloads:
            assert client.publish(Outbound("out", payload)).wait(LIMIT_S)
            watcher.publish("in/1", payload)
        assert client.publish(Outbound("out", large)).wait(LIMIT_S)
        observer.wait("message: in/1", len(payloads))
        watcher.wait_for(lambda got: got.topic == "out" and got.payload == large)
        came = [each.payload for each in watcher.received if each.topic == "out"]
    assert came == [*payloads, large]
    lengths = [len(each) - len("message: in/1  False") for each in observer.all("message")]
    assert lengths == [len(payload) for payload in payloads]


def test_a_node_goes_over_it(broker: WebBroker, server: Server) -> None:
    """States are published, and a shutdown is a goodbye."""
    with watching(broker.port) as watcher:
        with node(server.port, tls=server.tls, path=server.path) as n1:
            watcher.on("edge/n1/status", state="online")
            n1.lamp.power.set(True)
            watcher.on("edge/n1/state/lamp", power=True)
        watcher.on("edge/n1/status", state="offline")
        causes = [each.document["cause"] for each in watcher.received if "status" in each.topic]
    assert "connection lost" not in causes


def test_a_dead_link_is_found_and_cut(broker: WebBroker, server: Server) -> None:
    """A broker that says nothing any more is given up in the stated time, and the will is
    published when it is back: the connection was cut without a goodbye."""
    will = Will("will", b"gone")
    with watching(broker.port) as watcher, linked(to(server, 1), will=will) as (client, observer):
        observer.wait("connected")
        broker.send(signal.SIGSTOP)
        observer.wait("disconnected: no answer for 0.5 s")
        broker.send(signal.SIGCONT)
        observer.wait("connected", 2)
        watcher.wait_for(lambda each: each.topic == "will")
        watcher.forget()
        assert client.publish(Outbound("out", b"again")).wait(LIMIT_S)


def test_a_port_without_websockets(broker: WebBroker) -> None:
    """Who speaks MQTT, or closes the connection, is told as opening no websocket."""
    with linked(to(Server(HOST, broker.port, None, "/mqtt"))) as (_, observer):
        text = observer.wait("problem: ")
    assert f"{HOST}:{broker.port}/mqtt opens no websocket; check mqtt.port and mqtt.path" in text


@pytest.mark.parametrize(
    "page",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Odd\r\nSec-WebSocket-Accept\r\n\r\n",
        b"HTTP/1.1 101 Odd\r\nSec-WebSocket-Accept: \xff\r\n\r\n",
    ],
    ids=["page", "no-value", "no-text"],
)
def test_a_web_server_that_is_no_broker(page: bytes) -> None:
    """Who answers with a page, or with nonsense, is told the same."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(page)

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        with linked(to(Server(HOST, listener.getsockname()[1], None, "/mqtt"))) as (_, observer):
            assert "opens no websocket" in observer.wait("problem: ")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(LIMIT_S)
