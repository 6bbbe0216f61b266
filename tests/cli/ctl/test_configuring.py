"""`edgekernel ctl config`: what nodes run, shown, compared and changed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from tests.brokers import HOST, Mosquitto
from tests.cli.conftest import APP, NODE, Agent
from tests.cli.ctl.conftest import at

Ctl = Callable[..., Result]

MQTT = '[mqtt]\nhost = "{}"\nport = {}\nremote_config = {}\npassword = "hush"\nusername = "u"\n'
CONFIG = '[config]\nhealthy_for = "50ms"\ngrace = "5s"\n'
LAMP = '[devices.lamp]\ndriver = "led"\npin = "GPIO22"\n'


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """Give a broker on which a node that may be configured is, and one that may not."""
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    agents = []
    for name, remote in (("open-1", "true"), ("closed-1", "false")):
        folder = tmp_path_factory.mktemp(name)
        (folder / "bench_app.py").write_text(APP)
        head = f'name = "{name}"\ndata = "data"'
        text = NODE.replace('name = "bench-1"', head) + MQTT.format(HOST, broker.port, remote)
        (folder / "node.toml").write_text(text + CONFIG)
        agents.append(Agent("run", folder / "node.toml", "--sim", "--json"))
    for agent in agents:
        agent.until("mqtt.connected")
    yield broker
    for agent in agents:
        agent.close()
    broker.stop()


@pytest.fixture
def ctl(own_broker: Mosquitto) -> Ctl:
    """Give a function that runs `edgekernel ctl` against that broker."""
    return lambda *args: at(own_broker.port, *map(str, args))


@pytest.fixture
def shown(ctl: Ctl, tmp_path: Path) -> Path:
    """Give a file with what the open node runs."""
    path = tmp_path / "shown.toml"
    path.write_text(ctl("config", "show", "open-1").stdout)
    return path


def test_show(ctl: Ctl, shown: Path) -> None:
    """What a node runs is shown as its node file, where it is from above it, secrets hidden."""
    document = tomllib.loads(shown.read_text())
    assert document["node"]["name"] == "open-1"
    assert document["mqtt"]["password"] == "***"
    assert "hush" not in shown.read_text()
    assert shown.read_text().startswith("# open-1 runs ")
    found = json.loads(ctl("config", "show", "open-1", "--json").stdout)
    assert found["document"] == document
    assert found["hash"] in shown.read_text()
    many = ctl("config", "show", "--all")
    assert [line.split()[0] for line in many.stdout.splitlines()[1:]] == ["closed-1", "open-1"]


def test_push(ctl: Ctl, shown: Path) -> None:
    """A file is planned, pushed and applied; the node shows it, with its version."""
    shown.write_text(shown.read_text() + LAMP)
    planned = ctl("config", "plan", "open-1", shown)
    assert (planned.exit_code, "lamp" in planned.stdout) == (0, True)
    pushed = ctl("config", "push", "open-1", shown, "--version", "v2")
    assert (pushed.exit_code, pushed.stdout.startswith("open-1: applied v2")) == (0, True)
    assert "from remote v2" in ctl("config", "show", "open-1").stdout
    assert "nothing to do" in ctl("config", "plan", "open-1", shown).stdout
    again = json.loads(ctl("config", "push", "open-1", shown, "--json").stdout)
    assert again["desired"]["result"] == "applied"


def test_a_file_with_mistakes_is_not_sent(ctl: Ctl, shown: Path) -> None:
    """Mistakes are told before anything is sent, and by the node for who does not look."""
    shown.write_text(shown.read_text().replace('"relay"', '"rely"'))
    done = ctl("config", "push", "open-1", shown)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "devices.fan.driver" in done.stderr
    sent = ctl("config", "push", "open-1", shown, "--no-check")
    assert sent.exit_code == 1
    assert sent.stderr.startswith("refused (rejected): desired: devices.fan.driver: unknown driver")
    missing = ctl("config", "push", "open-1", "none.toml", "--json")
    assert json.loads(missing.stdout)["error"]["code"] == "invalid"


def test_a_secret_is_not_sent(ctl: Ctl, shown: Path) -> None:
    """A password in the file stays here, and that is said; the node keeps its own."""
    shown.write_text(shown.read_text().replace('"***"', '"other"'))
    done = ctl("config", "push", "open-1", shown)
    assert done.exit_code == 0
    assert done.stderr == "mqtt.password is not sent: it is as the node has it\n"


def test_many(ctl: Ctl, shown: Path) -> None:
    """On many nodes each has a row: one that takes no configuration refuses for itself."""
    text = shown.read_text()
    mqtt = text[text.index("[mqtt]") : text.index("[config]")]
    shown.write_text(text.replace(mqtt, ""))
    done = ctl("config", "push", "--all", shown, "--json")
    rows = {row["node"]: row for row in json.loads(done.stdout)}
    assert rows["open-1"]["ok"] is True
    assert rows["closed-1"]["error"]["code"] == "forbidden"
    assert "remote_config = true" in rows["closed-1"]["error"]["message"]
    assert done.exit_code == 1


def test_nobody_answers(ctl: Ctl, shown: Path) -> None:
    """A node that does not answer in time is exit code 3; one that does not exist is 1."""
    assert ctl("config", "push", "nobody", shown).exit_code == 1
    late = ctl("config", "push", "open-1", shown, "--wait", "0.001")
    assert late.exit_code == 3
    assert "has reported no result" in late.stderr
