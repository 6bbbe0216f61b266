"""How the options of `edgekernel ctl` say where the broker is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from edgekernel.cli import main
from edgekernel.cli.ctl.group import ctl
from edgekernel.cli.ctl.link import OPTIONS, as_option, link_of
from edgekernel.core.errors import ConfigError
from edgekernel.mqtt import link_problems, tls
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.site import Site
from edgekernel.mqtt.tls import Tls
from edgekernel.mqtt.transport import Server
from tests.brokers import HOST, Mosquitto, free_port
from tests.mqtt.site.site_broker import SiteBroker


def settings(**options: Any) -> Settings:
    """Return what options say."""
    usual = {"host": "127.0.0.1", "username": "", "prefix": "edge", "timeout": 5.0}
    return link_of({**usual, **options}).settings


def run(*args: str) -> Result:
    """Run `edgekernel ctl`."""
    return CliRunner().invoke(main, ["ctl", *args], env={"COLUMNS": "200"}, catch_exceptions=False)


def test_several_brokers() -> None:
    """They are tried in the order of the options, each at its port or the usual one."""
    found = settings(brokers=("a", "b:1884", "[::1]:1885", "[::2]", "fe80::1"))
    places = [(each.host, each.port) for each in found.servers]
    assert places == [("a", 1883), ("b", 1884), ("::1", 1885), ("::2", 1883), ("fe80::1", 1883)]
    assert settings(brokers=("a",), tls=True, port=None).servers == (Server("a", 8883, Tls()),)
    assert settings(brokers=("a",), port=99).servers == (Server("a", 99),)


def test_a_websocket() -> None:
    """With a path the port is that of the web unless given."""
    assert settings(path="/mqtt").servers == (Server("127.0.0.1", 80, None, "/mqtt"),)
    assert settings(path="/mqtt", server_name="b").port == 443


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"brokers": ("a", "b c")}, "--broker: 'b c' is no host name or address"),
        ({"brokers": ("b c",)}, "--broker: 'b c' is no host name or address"),
        ({"brokers": ("a", "b:0")}, "--broker: 0 is not from 1 to 65535"),
        ({"brokers": ("a", "a")}, "--broker: a:1883 is there twice"),
        ({"host": "b c"}, "--host: 'b c' is no host name or address"),
        ({"brokers": ("a:99999",)}, "--broker: 99999 is not from 1 to 65535"),
        ({"certificate": Path("node.crt")}, "--cert-key: certificate and key go together"),
        ({"cert_key": Path("node.key")}, "--cert: certificate and key go together"),
        ({"path": "mqtt"}, "--websocket: 'mqtt' does not begin with \"/\""),
    ],
)
def test_mistakes(options: dict[str, Any], problem: str) -> None:
    """Each is told by its option, before anything connects."""
    with pytest.raises(ConfigError) as caught:
        settings(**options)
    assert caught.value.problems == (problem,)


def test_every_key_has_its_option() -> None:
    """Each key that a reason or a mistake names is said as an option, and that option exists."""
    texts = [Path(str(each.__file__)).read_text("utf-8") for each in (link_problems, tls)]
    named = set(re.findall(r"mqtt\.(?:tls\.)?[a-z_]+(?<!_)\b(?!\.[a-z])", " ".join(texts)))
    named -= {"mqtt.tls", "mqtt.transport"}  # a package's own modules
    assert {"mqtt.host", "mqtt.client_id", "mqtt.protocol", "mqtt.tls.alpn"} <= named
    options = {name for each in ctl.params for name in each.opts}
    assert {as_option(key) for key in named} <= options
    assert set(OPTIONS.values()) <= options


def test_how_the_client_shows_itself() -> None:
    """Protocol, client id and ALPN are as the options say; ALPN goes with TLS."""
    found = settings(protocol="3.1.1", client_id="me", alpn="mqtt")
    assert (found.protocol, found.client_id, found.port) == ("3.1.1", "me", 8883)
    assert found.tls == Tls(alpn="mqtt")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose broker lets those in who have a certificate, started."""
    site = Site.make(tmp_path / "site", ["localhost"], node_port=free_port(), user_port=free_port())
    broker = SiteBroker(site, tmp_path)
    broker.start()
    yield site
    broker.stop()


def test_a_certificate_of_ones_own(site: Site) -> None:
    """Where the broker asks who is there, --cert and --cert-key say it; without them the broker's
    refusal is told with what to set."""
    folder = site.enroll("one")
    place = ["--broker", f"{HOST}:{site.record.node_port}", "--ca", str(folder / "ca.crt")]
    named = [*place, "--server-name", "localhost"]
    shown = ["--cert", str(folder / "node.crt"), "--cert-key", str(folder / "node.key")]
    assert run(*named, *shown, "nodes", "--json").stdout == "[]\n"
    nobody = run(*named, "nodes")
    assert nobody.exit_code == 3
    assert "set --cert and --cert-key" in nobody.stderr
    other_name = run(*place, *shown, "nodes")
    assert "set --server-name" in other_name.stderr


def test_the_next_broker(tmp_path: Path) -> None:
    """A broker that is away costs nothing but its attempt."""
    broker = Mosquitto(tmp_path)
    broker.start()
    try:
        found = run(
            "--broker", f"{HOST}:{free_port()}", "--broker", f"{HOST}:{broker.port}", "nodes"
        )
        assert found.exit_code == 0
    finally:
        broker.stop()


def test_a_broker_that_is_away() -> None:
    """What to look at is named as an option: whoever asks has no node file."""
    port = free_port()
    result = run("--port", str(port), "--timeout", "1", "nodes")
    assert result.exit_code == 3
    assert f"{HOST}:{port} cannot be reached" in result.output
    assert "is --port right?" in result.output
    assert "mqtt." not in result.output


@pytest.mark.parametrize(("endless", "code"), [(True, 0), (False, 130)])
def test_ctrl_c(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], endless: bool, code: int
) -> None:
    """What shows what happens is done then; whoever has asked for something does not know if it
    was: a script that goes on after it must not."""
    broker = Mosquitto(tmp_path)
    broker.start()
    link = link_of(
        {"host": HOST, "port": broker.port, "username": "", "prefix": "edge", "timeout": 5.0}
    )
    try:
        with pytest.raises(click.exceptions.Exit) as ended, link.open(endless=endless):
            raise KeyboardInterrupt
    finally:
        broker.stop()
    assert ended.value.exit_code == code
    assert ("may be carried out" in capsys.readouterr().err) is not endless
