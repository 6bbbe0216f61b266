"""docs/howto/sign-requests.md tells the truth: its commands and its program are run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edgekernel.mqtt.payloads import parse_set
from edgekernel.mqtt.settings import PLAIN_PORT
from edgekernel.mqtt.signatures import Signatures
from tests.brokers import HOST, Mosquitto, watching
from tests.cli.conftest import Agent
from tests.mqtt.signing import Signer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/howto/sign-requests.md").read_text(encoding="utf-8")
PROGRAM = "from edgekernel.cli import main; main(prog_name='edgekernel')"


def blocks(kind: str) -> list[str]:
    """Return the blocks of a kind."""
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def commands() -> list[tuple[list[str], list[str]]]:
    """Return each command of the page with what it prints, if that stands there."""
    parts = [part for block in blocks("") for part in block.split("$ edgekernel ")[1:]]
    lines = [part.strip().splitlines() for part in parts]
    return [(line.split(), said) for line, *said in lines]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's folder: the greenhouse, and the keys that its first command makes."""
    folder = tmp_path_factory.mktemp("greenhouse")
    shutil.copytree(ROOT / "examples/greenhouse", folder, dirs_exist_ok=True)
    (keygen, _), *_ = commands()
    assert keygen[:2] == ["ctl", "keygen"]
    assert run(folder, PLAIN_PORT, "-c", PROGRAM, *keygen).returncode == 0
    return folder


@pytest.fixture(scope="module")
def port(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run the greenhouse with the page's table on a simulated board; give its broker's port."""
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    with ExitStack() as stack:
        broker.start()
        stack.callback(broker.stop)
        (table,) = blocks("toml")
        path = folder / "node.toml"
        text = re.sub(r"\[mqtt\]\n.*?\n(?=\[|\Z)", "", path.read_text("utf-8"), flags=re.DOTALL)
        path.write_text(f'{text}\n[mqtt]\nhost = "{HOST}"\nport = {broker.port}\n\n{table}')
        agent = Agent("run", path, "--sim", "--json")
        stack.callback(agent.close)
        agent.until("mqtt.connected")
        yield broker.port


def run(folder: Path, port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the folder, with the broker in the environment."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "EDGEKERNEL_PORT": str(port), "COLUMNS": "200"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_commands(folder: Path, port: int) -> None:
    """Each ends as the page says: what it prints stands there, or it is done."""
    for words, said in commands()[1:]:
        done = run(folder, port, "-c", PROGRAM, *words)
        assert (done.returncode, done.stderr.splitlines()) == (1 if said else 0, said)


def test_the_program(folder: Path, port: int) -> None:
    """The page's program does what it says."""
    (program,) = blocks("python")
    with watching(port, "edge/greenhouse-1/event/request-answered") as watcher:
        done = run(folder, port, "-c", program.replace('"broker.local"', f'"{HOST}", port={port}'))
        assert (done.returncode, done.stderr) == (0, "")
        told = watcher.wait_for(lambda received: True, "an entry of the audit").document
    assert told["fields"]["principal"] == "anna"
    assert told["fields"]["outcome"] == "ok"


def test_a_pair_of_openssl(tmp_path: Path) -> None:
    """Its commands make what a node takes."""
    (script,) = blocks("sh")
    subprocess.run(["sh", "-e", "-c", script], cwd=tmp_path, check=True, capture_output=True)
    Signatures({"anna": (tmp_path / "anna.pem").read_bytes()}, required=True)


def test_a_request_of_another_client() -> None:
    """The page's document is read: it lacks nothing but to be of this hour and this start."""
    (document,) = blocks("json")
    request = json.loads(document)
    signer = Signer("anna")
    signatures = Signatures({"anna": signer.public})
    found = signatures.read_request(request["topic"], signer.sign(request), parse_set)
    assert (found.content, found.stamp.ttl_s) == (True, 30)  # type: ignore[union-attr]
