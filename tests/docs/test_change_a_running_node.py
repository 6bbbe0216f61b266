"""docs/howto/change-a-running-node.md tells the truth: its commands and its program are run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, chdir
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekernel.cli import main
from edgekernel.node.difference import Action
from tests.brokers import HOST, Mosquitto
from tests.cli.conftest import Agent

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/howto/change-a-running-node.md").read_text(encoding="utf-8")
PROGRAM = "from edgekernel.cli import main; main(prog_name='edgekernel')"


class House:
    """The page's node on a simulated board, its folder, and its broker."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        shutil.copytree(ROOT / "examples/greenhouse", folder, dirs_exist_ok=True)
        self.folder = folder
        self.port = broker.port
        (head,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
        head = head.replace('"broker.local"', f'"{HOST}"\nport = {broker.port}')
        text = (folder / "node.toml").read_text("utf-8")
        rest = text[text.index("[devices.heater]") : text.index("[mqtt]")]
        (folder / "node.toml").write_text(head + rest)
        new = rest.replace("GPIO22", "GPIO24").replace('"10s"', '"2s"')
        (folder / "new.toml").write_text(head + new)
        self.agent = Agent("run", folder / "node.toml", "--sim", "--json")

    def run(self, line: str) -> tuple[int, str, str]:
        """Run a line of the page in the folder; return exit code and what it prints."""
        if line.startswith("edgekernel ctl "):  # needs no module of the application
            command, _, file = line.partition(" > ")
            with chdir(self.folder):
                done = CliRunner().invoke(main, shlex.split(command)[1:], env=self._env)
            if file:
                (self.folder / file).write_text(done.stdout)
            return done.exit_code, done.stdout, done.stderr
        called = shlex.join([sys.executable, "-c", PROGRAM])
        ended = subprocess.run(
            ["sh", "-c", re.sub(r"^edgekernel", called, line)],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **self._env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return ended.returncode, ended.stdout, ended.stderr

    @property
    def _env(self) -> dict[str, str]:
        agent = str(self.agent.process.pid)
        return {"EDGEKERNEL_PORT": str(self.port), "AGENT": agent, "COLUMNS": "160"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Run the page's node."""
    with ExitStack() as stack:
        broker = Mosquitto(tmp_path_factory.mktemp("broker"))
        broker.start()
        stack.callback(broker.stop)
        made = House(tmp_path_factory.mktemp("greenhouse"), broker)
        stack.callback(made.agent.close)
        made.agent.until("mqtt.connected")
        yield made


def blocks() -> list[str]:
    """Return the blocks of the page that are neither TOML nor Python."""
    found = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)
    return [text for language, text in found if not language]


def test_the_page(house: House) -> None:
    """Its commands do what the page says, one after the other: what they print stands there, or
    they are done."""
    printed = ""
    for block in blocks():
        if not block.startswith("$ "):  # what the command before it prints
            _compare(block, printed)
            continue
        for part in block.removeprefix("$ ").split("\n$ "):
            line, *said = part.strip().splitlines()
            code, printed, complaint = house.run(line)
            assert (code, complaint.splitlines()) == ((1, said) if said else (0, [])), line
            if line.startswith("kill"):
                house.agent.until('"config.applied"')
            if "--version" in line:
                assert "applied spring-2" in printed
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    path = house.folder / "program.py"
    path.write_text(program.replace('"broker.local"', f'"{HOST}", port={house.port}'))
    code, printed, complaint = house.run(f"{sys.executable} program.py")
    assert (code, complaint, printed.split()) == (0, "", ["True", "applied", "spring-3"])


def _compare(shown: str, printed: str) -> None:
    rows = [line.split() for line in printed.splitlines()]
    for line in shown.splitlines():
        assert line.split() in rows


def test_every_action_is_explained() -> None:
    """The page names what can happen to a device."""
    assert {f"`{each}`" for each in Action} <= set(re.findall(r"`\w+`", PAGE))
