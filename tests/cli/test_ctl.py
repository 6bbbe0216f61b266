"""`edgekernel ctl` against a real broker and a running node."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edgekernel.cli import main
from tests.brokers import HOST, Mosquitto, free_port, watching
from tests.cli.conftest import APP, NODE, Agent

Ctl = Callable[..., Result]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """Give a real broker, started."""
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def node(broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """Give the bench's node, running on the simulated board and connected to the broker."""
    folder: Path = tmp_path_factory.mktemp("node")
    (folder / "bench_app.py").write_text(APP)
    path = folder / "node.toml"
    path.write_text(f'{NODE}[mqtt]\nhost = "{HOST}"\nport = {broker.port}\n')
    with watching(broker.port, "edge/bench-1/#") as watcher:
        agent = Agent("run", path, "--sim", "--json")
        try:
            agent.until("mqtt.connected")
            watcher.wait_for(lambda r: r.topic.endswith("state/room") and b'"good"' in r.payload)
            yield agent
        finally:
            agent.close()


@pytest.fixture
def ctl(broker: Mosquitto, node: Agent) -> Ctl:
    """Give a function that runs `edgekernel ctl` against the broker with the node on it."""
    return lambda *args: at(broker.port, *args)


def at(port: int, *args: str) -> Result:
    """Run `edgekernel ctl` against a port."""
    return CliRunner().invoke(
        main, ["ctl", "--port", str(port), *args], env={"COLUMNS": "200"}, catch_exceptions=False
    )


def printed(result: Result) -> Any:
    """Return what a subcommand has printed as JSON."""
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def as_json(result: Result, exit_code: int) -> dict[str, str]:
    """Return the error that a subcommand has printed as JSON, and nothing else."""
    assert (result.exit_code, result.stderr) == (exit_code, "")
    document = json.loads(result.stdout)
    assert document["ok"] is False
    error: dict[str, str] = document["error"]
    return error


def test_nodes(ctl: Ctl) -> None:
    """`nodes` lists the node with its state, for people and as a JSON array."""
    result = ctl("nodes")
    assert (result.exit_code, result.stderr) == (0, "")
    assert any(line.split()[:2] == ["bench-1", "online"] for line in result.stdout.splitlines())
    (row,) = printed(ctl("nodes", "--json"))
    assert (row["name"], row["state"]) == ("bench-1", "online")


def test_text_of_others_is_no_markup(ctl: Ctl, broker: Mosquitto) -> None:
    """What a node says is printed as it is, whatever brackets and colons are in it."""
    with watching(broker.port, "edge/ghost/#") as client:
        status = {"state": "[bold]odd", "cause": "[/dev/i2c-1] :smile: is gone"}
        client.publish("edge/ghost/status", status, retain=True)
        client.publish("edge/ghost/state/x", {"s": {"value": "[/]", "reason": "[a]"}}, retain=True)
        try:
            listed = ctl("nodes").stdout
            state = ctl("get", "ghost").stdout
        finally:
            for topic in ("status", "state/x"):
                client.publish(f"edge/ghost/{topic}", b"", retain=True)
    assert "[bold]odd" in listed
    assert "[/dev/i2c-1] :smile: is gone" in listed
    assert "[/]" in state
    assert "[a]" in state
    assert ctl("call", "bench-1", "control.both").stdout == "[true, false]\n"


def test_nodes_elsewhere(ctl: Ctl) -> None:
    """Below a prefix without nodes there are none: no error, and an empty array."""
    result = ctl("--prefix", "other", "nodes")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "no nodes below other/" in result.stdout
    assert printed(ctl("--prefix", "other", "nodes", "--json")) == []


def test_get(ctl: Ctl) -> None:
    """`get` shows every signal of every device, or of the one asked for."""
    result = ctl("get", "bench-1")
    assert (result.exit_code, result.stderr) == (0, "")
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["room", "temperature", "20.0", "°C", "good"] in [row[:5] for row in rows]
    state = printed(ctl("get", "bench-1", "--json"))
    assert sorted(state) == ["door", "fan", "i2c1", "room"]
    room = printed(ctl("get", "bench-1", "room", "--json"))
    assert list(room) == ["room"]
    temperature = room["room"]["temperature"]
    assert temperature["value"] == pytest.approx(20, abs=0.02)
    assert (temperature["unit"], temperature["quality"]) == ("°C", "good")


def test_set(ctl: Ctl) -> None:
    """`set` comes back when the node has done it, whichever way output and value are written."""
    for output, value, expected in (
        ("fan/power", "on", True),
        ("fan.power", "off", False),
        ("fan/power", "true", True),
        ("fan/power", "false", False),
    ):
        result = ctl("set", "bench-1", output, value)
        assert (result.exit_code, result.stderr) == (0, "")
        assert printed(ctl("call", "bench-1", "sim.level", "line=GPIO17", "--json")) is expected


def test_call(ctl: Ctl) -> None:
    """`call` prints the result, as it is and as JSON; a command without one is done."""
    result = ctl("call", "bench-1", "control.boost", "minutes=5")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {"minutes": 5}
    assert printed(ctl("call", "bench-1", "control/boost", "--json")) == {"minutes": 10}
    assert ctl("call", "bench-1", "control.nothing").stdout == "done\n"
    assert printed(ctl("call", "bench-1", "control.nothing", "--json")) is None


def test_watch(node: Agent, broker: Mosquitto, start: Callable[..., Agent], ctl: Ctl) -> None:
    """`watch --json` prints what is and what happens, a line each, until Ctrl-C, exit 0."""
    watcher = start("ctl", "--port", str(broker.port), "watch", "bench-1", "--json")
    assert json.loads(watcher.until('"status"'))["payload"]["state"] == "online"
    watcher.until('"state/room"')
    ctl("call", "bench-1", "sim.press", "device=door")
    event = json.loads(watcher.until("button.pressed"))
    assert event["topic"].startswith("event/")
    assert event["payload"]["fields"] == {"device": "door"}
    watcher.until("button.released")
    code, _, err = watcher.end(signal.SIGINT)
    assert (code, err) == (0, "")


def test_watch_as_text(broker: Mosquitto, start: Callable[..., Agent], ctl: Ctl) -> None:
    """`watch` prints what happens in a line for people."""
    watcher = start("ctl", "--port", str(broker.port), "watch", "bench-1")
    watcher.until("state   fan")
    ctl("set", "bench-1", "fan/power", "on")
    assert "power=on" in watcher.until("power=on")
    ctl("set", "bench-1", "fan/power", "off")
    code, _, _ = watcher.end(signal.SIGINT)
    assert code == 0


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_watch_unknown(broker: Mosquitto, start: Callable[..., Agent], options: list[str]) -> None:
    """`watch` of a node that nobody has seen yet says so, and shows it when it comes."""
    watcher = start("ctl", "--port", str(broker.port), "watch", "bench-9", *options)
    assert watcher.process.stderr is not None
    said = watcher.process.stderr.readline()
    if not options:
        said = watcher.process.stderr.readline()
    assert said.startswith("no node 'bench-9' is known yet; waiting for it")
    with watching(broker.port, "edge/bench-9/#") as client:
        client.publish("edge/bench-9/status", {"state": "online"})
    watcher.until("online")
    code, _, err = watcher.end(signal.SIGINT)
    assert (code, err) == (0, "")


def test_wrong_prefix() -> None:
    """A prefix that no topic can have is told by its option before anything is connected."""
    result = at(free_port(), "--prefix", "Bad/+", "nodes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("--prefix: 'Bad/+' is not allowed; one to 3 segments")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["set", "bench-1", "fan/power", "maybe"], "refused (invalid): "),
        (["set", "bench-1", "fan/speed", "on"], "refused (unknown): "),
        (["set", "bench-1", "fann/power", "on"], "did you mean 'fan"),
        (["call", "bench-1", "control.boost", "minutes=61"], "minutes: 61 is not allowed; at most"),
        (["call", "bench-1", "control.boost", "minuts=5"], "did you mean 'minutes'?"),
        (["call", "bench-1", "control.bost"], "boost'?"),
        (["call", "bench-1", "control.reset"], "refused (forbidden): "),
        (["call", "bench-1", "control.fail"], "no such row"),
        (["call", "bench-1", "sim.press", "device=fan"], "GPIO17 is an output"),
        (["call", "bench-1", "sim.press", "device=dor"], "did you mean 'door'?"),
        (["get", "Bench 1"], "Bench 1"),
    ],
)
def test_refused(ctl: Ctl, args: list[str], said: str) -> None:
    """What the node refuses ends with exit 1 and the node's reason, in one line or as JSON."""
    result = ctl(*args)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1
    error = as_json(ctl(*args, "--json"), 1)
    assert said in f"refused ({error['code']}): {error['message']}"


@pytest.mark.parametrize(
    "args",
    [
        ["get", "bench-2"],
        ["get", "bench-1", "fann"],
        ["--timeout", "0.3", "set", "bench-2", "fan/power", "on"],
        ["--timeout", "0.3", "call", "bench-2", "control.boost"],
    ],
)
def test_nobody_answers(ctl: Ctl, args: list[str]) -> None:
    """A node or device that the broker does not know is told, with where to look, exit 3."""
    result = ctl(*args)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "`edgekernel ctl nodes`" in result.stderr
    error = as_json(ctl(*args, "--json"), 3)
    assert error["code"] == "no_answer"
    assert "`edgekernel ctl nodes`" in error["message"]


@pytest.mark.parametrize(
    "args",
    [
        ["nodes"],
        ["get", "bench-1"],
        ["watch", "bench-1"],
        ["set", "bench-1", "fan/power", "on"],
        ["call", "bench-1", "control.boost"],
    ],
    ids=lambda args: args[0],
)
def test_no_broker(args: list[str]) -> None:
    """Without a broker every subcommand ends with exit 3 and says which broker it tried."""
    port = free_port()
    result = at(port, "--timeout", "2", *args)
    assert (result.exit_code, result.stdout) == (3, "")
    assert f"127.0.0.1:{port}" in result.stderr
    error = as_json(at(port, "--timeout", "2", *args, "--json"), 3)
    assert error["code"] == "no_answer"
    assert f"127.0.0.1:{port}" in error["message"]


@pytest.mark.parametrize(
    "args",
    [
        ["get"],
        ["set", "bench-1", "fan", "on"],
        ["set", "bench-1", "fan/power"],
        ["call", "bench-1", "boost"],
        ["call", "bench-1", "control.boost", "5"],
        ["--port", "many", "nodes"],
        ["--password-file", "/no/such/file", "nodes"],
        ["nods"],
    ],
)
def test_wrong_usage(args: list[str]) -> None:
    """Wrong usage is told before anything is connected, exit 2."""
    result = at(free_port(), *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage: " in result.stderr


def test_options_from_the_environment(broker: Mosquitto, node: Agent) -> None:
    """The broker may be given in the environment instead."""
    result = CliRunner().invoke(
        main, ["ctl", "nodes", "--json"], env={"EDGEKERNEL_PORT": str(broker.port)}
    )
    assert [row["name"] for row in printed(result)] == ["bench-1"]


def test_password(tmp_path: Path) -> None:
    """A broker that asks for a password gets it from a file or the environment; a wrong one is
    told as such, exit 3, and never shown."""
    broker = Mosquitto(tmp_path, {"operator": "right-secret"})
    broker.start()
    try:
        secret = tmp_path / "secret"
        secret.write_text("right-secret\n")
        options = ["ctl", "--port", str(broker.port), "--username", "operator"]
        result = CliRunner().invoke(
            main, [*options, "--password-file", str(secret), "nodes", "--json"]
        )
        assert printed(result) == []
        env = {"EDGEKERNEL_PASSWORD": "right-secret"}
        assert printed(CliRunner().invoke(main, [*options, "nodes", "--json"], env=env)) == []
        env = {"EDGEKERNEL_PASSWORD": "wrong-secret"}
        result = CliRunner().invoke(main, [*options, "nodes", "--json"], env=env)
        assert "check mqtt.username and mqtt.password" in as_json(result, 3)["message"]
        assert "secret" not in result.output
    finally:
        broker.stop()
