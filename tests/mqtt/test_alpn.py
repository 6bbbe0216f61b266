"""ALPN: a port with TLS that serves several protocols is told that MQTT is meant (RFC 7301)."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekernel import Message, Runtime
from edgekernel.cli import main
from edgekernel.mqtt import MqttInterface, Settings
from edgekernel.mqtt.messages import MqttConnected, MqttProblem
from edgekernel.mqtt.site import Site
from edgekernel.mqtt.tls import Tls
from tests.brokers import HOST, LIMIT_S, Mosquitto, free_port
from tests.mqtt.parts import Seen
from tests.mqtt.proxy import Proxy

AWS = "x-amzn-mqtt-ca"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a server's certificate and its key, and the authority's certificate."""
    return Site.make(tmp_path / "site", [HOST]).folder / "broker"


class Front(Proxy):
    """A server with TLS before a broker, for several protocols: it passes on who asks for MQTT."""

    def __init__(self, target: int, place: Path) -> None:
        super().__init__(target)
        self.chosen: list[str | None] = []
        """The protocol of each connection."""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(place / "server.crt", place / "server.key")
        self._context.set_alpn_protocols(["http/1.1", AWS, "mqtt"])

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accepted, HOST, 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        self.chosen.append(tls.selected_alpn_protocol())
        if self.chosen[-1] in (AWS, "mqtt"):
            await super()._accepted(reader, writer)
        else:
            writer.close()
            await writer.wait_closed()


@pytest.fixture
def front(broker: Mosquitto, place: Path) -> Iterator[Front]:
    """Such a server, started."""
    with Front(broker.port, place) as made:
        yield made


def told(port: int, tls: Tls, kind: type[Message]) -> str:
    """Run a node until it tells of its link; return that, or what is wrong with it."""
    runtime = Runtime(name="one")
    runtime.register_interface(MqttInterface(Settings(HOST, port, tls=tls)))
    seen = Seen(runtime)
    with runtime:
        return str(seen.wait(kind.name))


@pytest.mark.parametrize("name", ["mqtt", AWS])
def test_the_server_sees_the_name(front: Front, place: Path, name: str) -> None:
    """What `alpn` says is asked for, and the server agrees to it: the node is connected."""
    assert str(front.port) in told(front.port, Tls(place / "ca.crt", alpn=name), MqttConnected)
    assert front.chosen == [name]


def test_without_a_name(front: Front, place: Path) -> None:
    """Nothing is asked for unless it is said, and a server that wants it ends the connection."""
    problem = told(front.port, Tls(place / "ca.crt"), MqttProblem)
    assert "closed the connection without an answer" in problem
    assert set(front.chosen) == {None}


def test_ctl_has_the_name(front: Front, place: Path) -> None:
    """`edgekernel ctl --alpn` is the same for who asks nodes."""
    args = ["ctl", "--port", str(front.port), "--ca", str(place / "ca.crt"), "--alpn", "mqtt"]
    done = CliRunner().invoke(main, [*args, "nodes", "--json"])
    assert (done.exit_code, done.stdout, front.chosen) == (0, "[]\n", ["mqtt"])


@contextmanager
def strict_server(place: Path) -> Iterator[int]:
    """Run a server that refuses every protocol but its own with the alert for that."""
    openssl = shutil.which("openssl")
    assert openssl is not None
    port = free_port()
    serve = [openssl, "s_server", "-accept", f"{HOST}:{port}", "-alpn", "http/1.1"]
    files = ["-cert", str(place / "server.crt"), "-key", str(place / "server.key")]
    process = subprocess.Popen(
        [*serve, *files],
        stdin=subprocess.PIPE,  # it ends with its input
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        while "ACCEPT" not in process.stdout.readline():
            assert process.poll() is None
        yield port
    finally:
        process.terminate()
        process.wait(LIMIT_S)
        process.stdin.close()
        process.stdout.close()


def test_a_server_that_does_not_know_it(place: Path) -> None:
    """The alert of a server that does not have the protocol is told, with the key to look at."""
    with strict_server(place) as port:
        problem = told(port, Tls(place / "ca.crt", alpn="mqtt"), MqttProblem)
    assert "ends the TLS connection: no application protocol" in problem
    assert "check mqtt.tls.alpn" in problem
