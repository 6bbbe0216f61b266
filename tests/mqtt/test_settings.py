"""Settings of the link."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt import Settings
from edgekernel.mqtt.tls import Tls
from edgekernel.mqtt.transport import Server
from edgekernel.node import make_plan
from tests.mqtt.signing import Signer


def test_a_password_is_not_shown() -> None:
    """What prints settings does not print the password."""
    settings = Settings("broker", username="me", password="geheim")
    assert "geheim" not in repr(settings)
    assert settings.broker == "broker:1883"


@pytest.mark.parametrize("host", ["", "a b", "a..b", "x" * 64, "broker\n"])
def test_a_host_that_no_resolver_takes_is_refused(host: str) -> None:
    """A host name that would break the network thread is found before."""
    with pytest.raises(ConfigError, match=r"mqtt\.host"):
        Settings(host)


def test_every_mistake_is_named() -> None:
    """All wrong settings are told at once, by their names in the node file."""
    with pytest.raises(ConfigError) as caught:
        Settings(
            "h", 0, password="x", keepalive_s=0, reconnect_min_s=0, stable_s=-1, prefix="a/b/c/d"
        )
    named = ["mqtt.port", "mqtt.password", "mqtt.keepalive:", "mqtt.reconnect_min_s"]
    named += ["mqtt.stable_s", "mqtt.prefix"]
    assert len(caught.value.problems) == len(named)
    assert all(p.startswith(n) for p, n in zip(caught.value.problems, named, strict=True))
    assert "'x'" not in str(caught.value)


def test_public_keys_are_read_beside_the_node_file(tmp_path: Path) -> None:
    """`[mqtt.signatures]` names files; without the table nothing is signed."""
    text = '[node]\nname = "n1"\nboard = "sim"\n[mqtt]\nhost = "h"\n'
    path = tmp_path / "node.toml"
    path.write_text(text, encoding="utf-8")
    assert Settings.of(make_plan(path)).signatures is None
    (tmp_path / "anna.pem").write_bytes(Signer("anna").public)
    signatures = '[mqtt.signatures]\nrequired = true\nkeys = { anna = "anna.pem" }\n'
    path.write_text(text + signatures, encoding="utf-8")
    for with_secrets in (True, False):
        found = Settings.of(make_plan(path), with_secrets=with_secrets).signatures
        assert found is not None
        assert found.required


def test_a_password_is_read_from_its_file_each_time(tmp_path: Path) -> None:
    """What stands in the file counts when it is asked for; in a simulation nobody looks."""
    path = tmp_path / "node.toml"
    path.write_text(
        '[node]\nname = "n1"\nboard = "sim"\n'
        '[mqtt]\nhost = "h"\nusername = "me"\npassword_file = "secret"\n'
    )
    assert Settings.of(make_plan(path), with_secrets=False).current_password() == ""
    secret = tmp_path / "secret"
    secret.write_text("first\n")
    found = Settings.of(make_plan(path))
    assert (found.password, found.current_password()) == ("first", "first")
    secret.write_text("second\n")
    assert found.current_password() == "second"
    secret.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r'mqtt\.password_file: ".*/secret" is no text in UTF-8'):
        found.current_password()


def test_the_protocol_is_that_of_the_node_file(tmp_path: Path) -> None:
    """It is "auto" unless it is said; another word is refused."""
    path = tmp_path / "node.toml"
    text = '[node]\nname = "n1"\nboard = "sim"\n[mqtt]\nhost = "h"\n'
    for line, protocol in (("", "auto"), ('protocol = "3.1.1"\n', "3.1.1")):
        path.write_text(text + line)
        assert Settings.of(make_plan(path)).protocol == protocol
    with pytest.raises(ConfigError, match=r"mqtt\.protocol: '4' is not"):
        Settings("broker", protocol="4")  # type: ignore[arg-type]


def test_the_client_id_is_that_of_the_node_file(tmp_path: Path) -> None:
    """It is the one that a broker wants; empty, so that one is made, unless it is said."""
    for line, id in (("", ""), ('client_id = "dev-17"\n', "dev-17")):
        assert of(tmp_path, f'[mqtt]\nhost = "h"\n{line}').client_id == id


HEAD = '[node]\nname = "n1"\nboard = "sim"\n'


def of(folder: Path, text: str) -> Settings:
    """Return what a node file with this `[mqtt]` says."""
    path = folder / "node.toml"
    path.write_text(f"{HEAD}{text}", encoding="utf-8")
    return Settings.of(make_plan(path), with_secrets=False)


def test_several_brokers(tmp_path: Path) -> None:
    """They stand in the order of preference; what one does not say is as `[mqtt]` has it, and a
    port follows from the rest."""
    found = of(
        tmp_path,
        """
        [mqtt]
        back_after = "5min"
        tls = { ca = "ca.crt" }
        [[mqtt.brokers]]
        host = "a"
        [[mqtt.brokers]]
        host = "b"
        port = 8884
        tls = { server_name = "inside.example" }
        [[mqtt.brokers]]
        host = "c"
        transport = "websockets"
        [[mqtt.brokers]]
        host = "d"
        tls = false
        transport = "websockets"
        path = "/broker"
        """,
    )
    common = Tls(ca=tmp_path / "ca.crt")
    assert found.servers == (
        Server("a", 8883, common),
        Server("b", 8884, Tls(server_name="inside.example")),
        Server("c", 443, common, "/mqtt"),
        Server("d", 80, None, "/broker"),
    )
    names = [str(each) for each in found.servers]
    assert names == ["a:8883", "b:8884", "c:443/mqtt", "d:80/broker"]
    assert (found.broker, found.back_after_s) == ("a:8883", 300.0)


def test_one_broker_over_a_websocket(tmp_path: Path) -> None:
    """`transport` is enough; without it a path is of no use, and the broker is reached as ever."""
    web = of(tmp_path, '[mqtt]\nhost = "h"\ntransport = "websockets"\n')
    assert web.servers == (Server("h", 80, None, "/mqtt"),)
    assert of(tmp_path, '[mqtt]\nhost = "h"\n').servers == (Server("h", 1883),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[mqtt]\n",
            r"node\.toml: mqtt: .*a node needs either mqtt\.host or \[\[mqtt\.brokers\]\]",
        ),
        ('[mqtt]\nhost = "a"\n[[mqtt.brokers]]\nhost = "b"\n', r"either mqtt\.host or"),
        ('[mqtt]\nhost = "a"\nbrokers = []\n', r"mqtt\.brokers: \[\]: name one at least, or take"),
        ("[mqtt]\nbrokers = []\n", r"mqtt\.brokers: \[\]: name one at least, or take"),
        ("[[mqtt.brokers]]\nport = 1\n", r"mqtt\.brokers\.1\.host: is missing"),
        (
            '[[mqtt.brokers]]\nhots = "a"\n',
            r"mqtt\.brokers\.1\.hots: unknown key; did you mean 'hos",
        ),
        (
            '[[mqtt.brokers]]\nhost = "a"\ntls = { cu = "x" }\n',
            r"mqtt\.brokers\.1\.tls\.cu: unknown key; there are: alpn, ca",
        ),
        (
            '[[mqtt.brokers]]\nhost = "a"\n[[mqtt.brokers]]\nhost = "b c"\n',
            r"node\.toml: mqtt\.brokers\.2\.host: 'b c' is no host name or address",
        ),
        (
            '[[mqtt.brokers]]\nhost = "a"\n[[mqtt.brokers]]\nhost = "a"\n',
            r"node\.toml: mqtt\.brokers: a:1883 is there twice",
        ),
        (
            '[mqtt]\nhost = "a"\nback_after = "0s"\n',
            r'mqtt\.back_after: "0s".*more than 0 is allowed',
        ),
        (
            '[mqtt]\nhost = "a"\ntransport = "websockets"\npath = "mqtt"\n',
            r'mqtt\.path: "mqtt": a path begins with "/"',
        ),
    ],
)
def test_mistakes_in_brokers(tmp_path: Path, text: str, problem: str) -> None:
    """Each is told with file, key and what is wrong."""
    with pytest.raises(ConfigError, match=problem):
        of(tmp_path, text)
