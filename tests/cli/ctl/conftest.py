"""A broker with two nodes on it, and `edgekernel ctl` against it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edgekernel.cli import main
from tests.brokers import HOST, Mosquitto, Received, watching
from tests.cli.conftest import APP, NODE, Agent

Ctl = Callable[..., Result]

ZONES = {"bench-1": "north", "bench-2": "south"}


@pytest.fixture(scope="package")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """Give a real broker, started."""
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="package")
def agents(
    broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Agent]]:
    """Give the bench's node, twice, running on simulated boards and connected to the broker."""
    with ExitStack() as stack:
        watcher = stack.enter_context(watching(broker.port, "edge/#"))
        agents: dict[str, Agent] = {}
        for name, zone in ZONES.items():
            folder: Path = tmp_path_factory.mktemp(name)
            (folder / "bench_app.py").write_text(APP)
            path = folder / "node.toml"
            labels = f'name = "{name}"\nlabels = {{ zone = "{zone}" }}'
            text = NODE.replace('name = "bench-1"', labels)
            path.write_text(f'{text}[mqtt]\nhost = "{HOST}"\nport = {broker.port}\n')
            agents[name] = Agent("run", path, "--sim", "--json")
            stack.callback(agents[name].close)
        for name, agent in agents.items():
            agent.until("mqtt.connected")
            watcher.wait_for(partial(_is_measured, name), "a good temperature")
        yield agents


@pytest.fixture
def ctl(broker: Mosquitto, agents: dict[str, Agent]) -> Ctl:
    """Give a function that runs `edgekernel ctl` against the broker with the nodes on it."""
    return lambda *args: at(broker.port, *args)


def _is_measured(node: str, received: Received) -> bool:
    return received.topic == f"edge/{node}/state/room" and b'"good"' in received.payload


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
