"""TLS to a broker: a node that a site has enrolled connects, and says what is wrong if not."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgekernel import Message, Runtime
from edgekernel.core.errors import ConfigError
from edgekernel.mqtt import MqttInterface, Settings
from edgekernel.mqtt.messages import MqttConnected, MqttProblem
from edgekernel.mqtt.site import Site
from edgekernel.mqtt.tls import Tls
from edgekernel.node import make_plan
from tests.brokers import HOST, LIMIT_S, free_port
from tests.mqtt.parts import Seen
from tests.mqtt.site.certificates import spoil_node, spoil_server
from tests.mqtt.site.site_broker import SiteBroker

HEAD = '[node]\nname = "one"\nboard = "sim"\n'


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site on free loopback ports."""
    return Site.make(
        tmp_path / "site", [HOST, "localhost"], node_port=free_port(), user_port=free_port()
    )


@pytest.fixture
def broker(site: Site, tmp_path: Path) -> Iterator[SiteBroker]:
    """A broker of the site, not started yet."""
    made = SiteBroker(site, tmp_path)
    yield made
    made.stop()


def settings(folder: Path, change: Callable[[str], str] = str) -> Settings:
    """Return what a node file says that has the table as it was issued."""
    (folder / "node.toml").write_text(HEAD + change((folder / "mqtt.toml").read_text()))
    return Settings.of(make_plan(folder / "node.toml"))


def told(found: Settings, kind: type[Message]) -> str:
    """Run a node until it tells of its link; return that, or what is wrong with it."""
    runtime = Runtime(name="one")
    runtime.register_interface(MqttInterface(found))
    seen = Seen(runtime)
    with runtime:
        return str(seen.wait(kind.name))


def test_what_was_issued_is_what_is_needed(site: Site, broker: SiteBroker) -> None:
    """The folder of `node enroll`, with its table in the node file, is all that it takes."""
    folder = site.enroll("one")
    broker.start()
    found = settings(folder)
    assert found.port == site.record.node_port
    assert found.broker in told(found, MqttConnected)


def test_another_authority_is_not_trusted(site: Site, broker: SiteBroker, tmp_path: Path) -> None:
    """A broker that somebody else vouches for is told as such, with the key to look at."""
    folder = site.enroll("one")
    other = Site.make(tmp_path / "other", [HOST])
    (folder / "ca.crt").write_bytes((other.folder / "broker/ca.crt").read_bytes())
    broker.start()
    problem = told(settings(folder), MqttProblem)
    assert "is not trusted" in problem
    assert "mqtt.tls.ca" in problem


def test_a_revoked_certificate(site: Site, broker: SiteBroker) -> None:
    """A node that is let in no more is told that its certificate may be why."""
    folder = site.enroll("one")
    found = settings(folder)
    tls = found.tls
    assert tls is not None
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    site.revoke("one")
    folder.mkdir()
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    broker.start()
    assert "mqtt.tls.certificate has been revoked" in told(found, MqttProblem)


@pytest.mark.parametrize(
    ("days", "wrong", "hint"),
    [
        ((-10, -1), "certificate has expired", "if it is right, renew the broker's certificate"),
        ((1, 10), "certificate is not yet valid", "if it is right, wait"),
    ],
)
def test_a_certificate_out_of_its_time(
    site: Site, broker: SiteBroker, days: tuple[int, int], wrong: str, hint: str
) -> None:
    """A broker whose certificate has expired, or is not valid yet, is told with the time of this
    computer: on a board without a clock battery that is what is wrong."""
    folder = site.enroll("one")
    spoil_server(site, days=days)
    broker.start()
    problem = told(settings(folder), MqttProblem)
    assert f"is not trusted: {wrong}; this computer's clock says {datetime.now(UTC):%Y-}" in problem
    assert hint in problem


def test_a_certificate_for_another_name(site: Site, broker: SiteBroker) -> None:
    """A broker that is reached by a name that its certificate does not have is told as such; with
    that name as `server_name` it is trusted."""
    folder = site.enroll("one")
    spoil_server(site, host="inside.example")
    broker.start()
    problem = told(settings(folder), MqttProblem)
    assert "is not trusted" in problem
    assert "mqtt.host must be a name or address in the broker's certificate" in problem
    assert "set mqtt.tls.server_name" in problem
    named = settings(folder, lambda text: f'{text}server_name = "inside.example"\n')
    assert named.broker in told(named, MqttConnected)


def test_the_server_name_is_what_is_asked_for(site: Site) -> None:
    """The server sees the other name in the handshake (SNI), so that one that serves several
    answers as the right one."""
    spoil_server(site, host="inside.example")
    place = site.folder / "broker"
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "server.crt", place / "server.key")
    context.sni_callback = lambda sock, name, context: asked.append(name)

    def serve() -> None:
        with context.wrap_socket(server.accept()[0], server_side=True):
            pass

    with socket.create_server((HOST, 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        tls = Tls(place / "ca.crt", server_name="inside.example")
        with socket.create_connection(server.getsockname()) as plain:
            tls.context().wrap_socket(plain, server_hostname=HOST).close()
        thread.join(LIMIT_S)
    assert asked == ["inside.example"]


def test_an_expired_certificate_of_the_node(site: Site, broker: SiteBroker) -> None:
    """A node that the broker does not let in because its own certificate has expired is told that,
    every time."""
    folder = site.enroll("one")
    spoil_node(site, "one", days=(-10, -1))
    broker.start()
    found = settings(folder)
    for _ in range(5):
        problem = told(found, MqttProblem)
        assert "ends the TLS connection: certificate expired" in problem
        assert "mqtt.tls.certificate has expired; renew it" in problem


def test_a_node_without_a_certificate(site: Site, broker: SiteBroker) -> None:
    """A node that does not say who it is, where the broker asks, is told what to set."""
    folder = site.enroll("one")
    broker.start()
    found = settings(folder, lambda text: text.partition("certificate =")[0])
    problem = told(found, MqttProblem)
    assert "set mqtt.tls.certificate and mqtt.tls.key" in problem


def test_a_port_without_tls(site: Site, broker: SiteBroker) -> None:
    """Without the table a TLS port does not answer, and the hint asks for it."""
    folder = site.enroll("one")
    broker.start()
    found = settings(folder, lambda text: text.partition("[mqtt.tls]")[0])
    assert found.tls is None
    assert "without TLS" in told(found, MqttProblem)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            '"ca.crt"',
            '"cx.crt"',
            r'node\.toml: mqtt\.tls\.ca: ".*/cx\.crt" cannot be read: No',
        ),
        ('key = "node.key"', "", r"node\.toml: mqtt\.tls\.key: certificate and key go together"),
        ('key = "node.key"', 'key = "ca.crt"', r"node\.toml: mqtt\.tls: .* no usable PEM"),
        ('ca = "', 'cu = "', r"node\.toml: mqtt\.tls\.cu: unknown key; there are: alpn, ca"),
        (
            "[mqtt.tls]",
            "tls = 5\n[node2]",
            r"node\.toml: mqtt\.tls: 5: TLS is true, false or a table",
        ),
    ],
)
def test_mistakes_in_the_table(site: Site, old: str, new: str, problem: str) -> None:
    """Each is told with file, key and what is wrong, before anything connects."""
    folder = site.enroll("one")
    with pytest.raises(ConfigError, match=problem):
        settings(folder, lambda text: text.replace(old, new))


def test_the_port_follows() -> None:
    """With TLS it is 8883 unless the file says otherwise; `true` trusts what the system does."""
    assert Settings(host="h").port == 1883
    context = Tls(alpn="mqtt").context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_true_is_enough(tmp_path: Path) -> None:
    """`tls = true` is TLS with the authorities of the system, on port 8883."""
    (tmp_path / "mqtt.toml").write_text('[mqtt]\nhost = "broker.example"\ntls = true\n')
    found = settings(tmp_path)
    assert (found.port, found.tls) == (8883, Tls())
