"""A page of docs/ whose commands and programs are run against a greenhouse on a broker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.brokers import HOST, Mosquitto
from tests.cli.conftest import Agent

ROOT = Path(__file__).parents[2]
PROGRAM = "from edgekernel.cli import main; main(prog_name='edgekernel')"


class Page:
    """What stands in a page, and a folder with the greenhouse in which it is done."""

    def __init__(self, path: str, folder: Path) -> None:
        """Copy the greenhouse; `path` is below docs/."""
        self.text = (ROOT / "docs" / path).read_text("utf-8")
        self.folder = folder
        self.port = 1883  # nobody is to be reached there
        shutil.copytree(ROOT / "examples/greenhouse", folder, dirs_exist_ok=True)

    def blocks(self, kind: str) -> list[str]:
        """Return the blocks of a kind, such as "toml"; those of none have the commands."""
        found = re.findall(r"^```(\w*)\n(.*?)^```$", self.text, re.DOTALL | re.MULTILINE)
        return [text for each, text in found if each == kind]

    def commands(self) -> list[tuple[list[str], list[str]]]:
        """Return each command with what it prints, if that stands there."""
        parts = [part for block in self.blocks("") for part in block.split("$ edgekernel ")[1:]]
        lines = [part.strip().splitlines() for part in parts]
        return [(line.split(), said) for line, *said in lines]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the folder, with the broker in the environment."""
        return subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, "EDGEKERNEL_PORT": str(self.port), "COLUMNS": "200"},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def edgekernel(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command of the page."""
        return self.run("-c", PROGRAM, *words)

    def program(self) -> subprocess.CompletedProcess[str]:
        """Run the page's only program."""
        (text,) = self.blocks("python")
        return self.run("-c", text.replace('"broker.local"', f'"{HOST}", port={self.port}'))

    @contextmanager
    def running(self, files: Path) -> Iterator[None]:
        """Run the greenhouse, with the page's tables added, on a broker whose `files` go there."""
        broker = Mosquitto(files)
        with ExitStack() as stack:
            broker.start()
            stack.callback(broker.stop)
            self.port = broker.port
            path = self.folder / "node.toml"
            text = re.sub(r"\[mqtt\]\n.*?\n(?=\[|\Z)", "", path.read_text("utf-8"), flags=re.DOTALL)
            link = f'[mqtt]\nhost = "{HOST}"\nport = {broker.port}\n'
            path.write_text("\n".join([text, link, *self.blocks("toml")]))
            agent = Agent("run", path, "--sim", "--json")
            stack.callback(agent.close)
            agent.until("mqtt.connected")
            yield
