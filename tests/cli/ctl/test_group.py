"""How `edgekernel ctl` reaches a broker, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from edgekernel.cli import main
from edgekernel.cli.ctl import ctl as group
from edgekernel.cli.exits import Exit
from edgekernel.mqtt import Fleet
from edgekernel.mqtt.keys import make_pair
from tests.brokers import Mosquitto, free_port
from tests.cli.ctl.conftest import Ctl, as_json, at, printed


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
        (["get", "bench-3"], "knows no node 'bench-3'; did you mean 'bench-"),
        (["get", "zz"], "knows no node 'zz'; there are: bench-1, bench-2"),
        (["get", "--where", "zone=west"], "no node with zone=west"),
        (["get", "bench-1", "fann"], "did you mean 'fan'?"),
        (["set", "bench-3", "fan/power", "on"], "knows no node 'bench-3'"),
        (["call", "bench-3", "control.boost"], "knows no node 'bench-3'"),
    ],
)
def test_refused(ctl: Ctl, args: list[str], said: str) -> None:
    """What the node refuses, and a name that is not there, ends with exit 1 and the reason, in one
    line or as JSON."""
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
        ["get", "--all", "--where", "zone=north"],
        ["get", "--where", "zone"],
        ["info", "bench-1", "more"],
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


def test_options_from_the_environment(broker: Mosquitto, ctl: Ctl) -> None:
    """The broker may be given in the environment instead."""
    result = CliRunner().invoke(
        main, ["ctl", "nodes", "--json"], env={"EDGEKERNEL_PORT": str(broker.port)}
    )
    assert [row["name"] for row in printed(result)] == ["bench-1", "bench-2"]


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
        assert "check --username and --password-file" in as_json(result, 3)["message"]
        assert "secret" not in result.output
    finally:
        broker.stop()


def test_the_exit_codes_are_taught() -> None:
    """The help has those that `ctl` ends with, and so has the page about fleets."""
    said = CliRunner().invoke(main, ["ctl", "--help"]).output
    page = (Path(__file__).parents[3] / "docs/howto/control-a-fleet.md").read_text("utf-8")
    for code in (Exit.DONE, Exit.REFUSED, Exit.USAGE, Exit.NO_ANSWER):
        assert f"\n    {code.value}  {code.meaning}\n" in said
        assert f"\n| {code.value} | {code.meaning.partition(':')[0].partition(';')[0]}" in page


def test_whatever_ctl_does_python_does() -> None:
    """Each subcommand has its counterpart in `Fleet`, and none is missing from this list; keys are
    made by `edgekernel.mqtt.keys`."""
    counterparts: dict[str, list[Callable[..., object]]] = {
        "busy": [Fleet.busy, Fleet.hold_busy, Fleet.release_busy],
        "call": [Fleet.call],
        "config plan": [Fleet.forecast_config],
        "config push": [Fleet.push_config, Fleet.reported],
        "config show": [Fleet.config],
        "events": [Fleet.events],
        "forget": [Fleet.forget],
        "get": [Fleet.get],
        "health": [Fleet.health],
        "info": [Fleet.info],
        "keygen": [make_pair],
        "lease": [Fleet.lease],
        "logs": [Fleet.events],
        "nodes": [Fleet.nodes],
        "restart": [Fleet.restart],
        "schema": [Fleet.schema],
        "set": [Fleet.set],
        "update": [Fleet.update, Fleet.updating],
        "watch": [Fleet.watch],
    }
    assert set(_names(group)) == set(counterparts)
    for methods in counterparts.values():
        assert all("return" in method.__annotations__ for method in methods)


def _names(group: click.Group) -> Iterator[str]:
    """Give the names of all commands of a group, those of its groups with the name of the group."""
    for name, each in group.commands.items():
        if isinstance(each, click.Group):
            yield from (f"{name} {inside}" for inside in _names(each))
        else:
            yield name
