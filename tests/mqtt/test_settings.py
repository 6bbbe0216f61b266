"""Settings of the link."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt import Settings
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
