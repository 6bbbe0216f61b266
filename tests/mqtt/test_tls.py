"""TLS to a broker: a node that a site has enrolled connects, and says what is wrong if not."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgekernel import Message, Runtime
from edgekernel.core.errors import ConfigError
from edgekernel.mqtt import MqttInterface, Settings
from edgekernel.mqtt.messages import MqttConnected, MqttProblem
from edgekernel.mqtt.site import Site
from edgekernel.mqtt.tls import Tls
from edgekernel.node import make_plan
from tests.brokers import HOST, free_port
from tests.mqtt.parts import Seen
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
    assert "mqtt.tls.certificate" in told(found, MqttProblem)


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
