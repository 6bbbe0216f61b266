"""`edgekernel ctl` with a key: made, used, and missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgekernel.cli import main
from edgekernel.mqtt.signatures import Signatures
from tests.brokers import Mosquitto, free_port
from tests.cli.ctl.conftest import as_json
from tests.mqtt.parts import Node, node


def ctl(*args: str | Path, **env: str) -> Result:
    """Run `edgekernel ctl`."""
    words = ["ctl", *map(str, args)]
    return CliRunner().invoke(main, words, env={"COLUMNS": "200", **env}, catch_exceptions=False)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Anna's key, made by the command."""
    made = ctl("keygen", "anna", "--out", tmp_path, EDGEKERNEL_KEY="not-there-yet.key")
    assert made.exit_code == 0
    private, public = map(Path, made.stdout.splitlines())
    assert (private.stat().st_mode & 0o777, public.suffix) == (0o600, ".pem")
    assert 'anna = "anna.pem"' in made.stderr
    return private


@pytest.fixture
def n1(tmp_path: Path, key: Path) -> Iterator[Node]:
    """A node on a broker, which does what Anna has signed, and nothing else."""
    broker = Mosquitto(tmp_path)
    broker.start()
    public = key.with_suffix(".pem").read_bytes()
    try:
        signatures = Signatures({"anna": public}, required=True)
        with node(broker.port, signatures=signatures) as made:
            yield made
    finally:
        broker.stop()


def test_it_signs(n1: Node, key: Path) -> None:
    """With --key, or the variable, a set and a call are done, by who the key is named after."""
    port = str(n1.interface.settings.port)
    done = ctl("--port", port, "--key", key, "set", "n1", "lamp/power", "on")
    assert (done.exit_code, done.stderr, n1.lamp.power.get()) == (0, "", True)
    env = {"EDGEKERNEL_PORT": port, "EDGEKERNEL_KEY": str(key)}
    done = ctl("call", "n1", "room_control.boost", "minutes=5", **env)
    assert (done.exit_code, done.stderr) == (0, "")
    other = key.rename(key.with_name("elsewhere.key"))
    env |= {"EDGEKERNEL_KEY": str(other), "EDGEKERNEL_AS": "anna"}
    assert ctl("set", "--all", "lamp/power", "off", **env).exit_code == 0
    n1.seen.wait("request.answered", 3)
    assert {each["principal"] for each in n1.seen.of("request.answered")} == {"anna"}


def test_without_the_right_key(n1: Node, key: Path) -> None:
    """What is missing is said: a key, or one that the node knows; exit 1, nothing is sent."""
    to = ["--port", str(n1.interface.settings.port)]
    bare = ctl(*to, "set", "n1", "lamp/power", "on")
    assert (bare.exit_code, bare.stdout) == (1, "")
    assert bare.stderr.startswith("refused (forbidden): n1 takes signed requests only")
    assert "signed by: anna" in bare.stderr
    assert "--key FILE" in bare.stderr
    named = ctl(*to, "--key", key, "--as", "bert", "set", "n1", "lamp/power", "on", "--json")
    assert "does not know 'bert'" in as_json(named, 1)["message"]
    shown = ctl(*to, "schema", "n1").stdout
    assert "only signed requests count, by these keys:" in shown
    assert n1.seen.of("request.answered") == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--key", "none.key"], '--key: "none.key" cannot be read: No such file'),
        (["--key", __file__], "is no principal"),
        (["--as", "anna"], "--as: whose key? give it with --key"),
    ],
)
def test_keys_that_are_none(options: list[str], said: str) -> None:
    """A key that cannot be used is told before anything is connected, exit 1."""
    result = ctl("--port", str(free_port()), *options, "nodes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr


def test_no_second_pair(key: Path) -> None:
    """A pair that is there is left alone, and a name or folder that cannot be is told."""
    before = key.read_bytes()
    again = ctl("keygen", "anna", "--out", key.parent)
    assert (again.exit_code, again.stdout, key.read_bytes()) == (1, "", before)
    assert "anna.key is there already" in again.stderr
    wrong = ctl("keygen", "Anna", "--out", key.parent)
    assert (wrong.exit_code, "'Anna' is no principal" in wrong.stderr) == (1, True)
    assert ctl("keygen", "bert", "--out", "/no/such/folder").exit_code == 2
