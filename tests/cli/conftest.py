"""What the tests of the command line share: node files, and the agent as its own process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

LIMIT_S = 30.0

NODE = """
[node]
name = "bench-1"
board = "sim"
app = "bench_app"

[devices.fan]
driver = "relay"
pin = "GPIO17"

[devices.door]
driver = "button"
pin = "GPIO27"

[devices.room]
driver = "bme280"
bus = "i2c1"
every = "1s"
"""

APP = '''
from typing import Annotated
from pydantic import Field
from edgekernel import Process, command


class Control(Process):
    """Commands of every outcome."""

    name = "control"

    @command
    def boost(self, minutes: Annotated[int, Field(ge=1, le=60)] = 10) -> dict[str, int]:
        return {"minutes": minutes}

    @command
    def both(self) -> list[bool]:
        return [True, False]

    @command
    def nothing(self) -> None:
        """Return nothing."""

    @command
    def fail(self) -> None:
        raise KeyError("no such row")

    @command(role="operator")
    def reset(self) -> None:
        """Never granted."""


def setup(runtime):
    runtime.register(Control())
'''

Write = Callable[..., Path]


def command(*args: str | Path) -> list[str]:
    """Return the command line that runs `edgekernel` with this Python."""
    return [sys.executable, "-c", "from edgekernel.cli import main; main()", *map(str, args)]


class Agent:
    """`edgekernel` as a process of its own, whose output is read line by line."""

    def __init__(self, *args: str | Path) -> None:
        self.process = subprocess.Popen(
            command(*args),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.lines: list[str] = []

    def until(self, text: str) -> str:
        """Read lines until one holds a text; return it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"it ended without {text!r}:\n{''.join(self.lines)}")

    def until_each(self, *texts: str) -> list[str]:
        """Read lines until each of these texts was in one, in any order; return those lines."""
        found: dict[str, str] = {}
        while missing := [text for text in texts if text not in found]:
            line = self.until("")
            found |= {text: line for text in missing if text in line}
        return [found[text] for text in texts]

    def end(self, how: signal.Signals) -> tuple[int, str, str]:
        """Send a signal and wait; return exit code and the rest of stdout and stderr."""
        self.process.send_signal(how)
        out, err = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, out, err

    def close(self) -> None:
        """Make sure that nothing of it is left."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=LIMIT_S)


@pytest.fixture
def start() -> Iterator[Callable[..., Agent]]:
    """Give a function that starts `edgekernel` with arguments; all are ended with the test."""
    agents: list[Agent] = []

    def start(*args: str | Path) -> Agent:
        agents.append(Agent(*args))
        return agents[-1]

    yield start
    for agent in agents:
        agent.close()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Give a function that writes the bench's node file, with more at its end."""

    def write(more: str = "", text: str = NODE) -> Path:
        (tmp_path / "bench_app.py").write_text(APP)
        path = tmp_path / "node.toml"
        path.write_text(text + more)
        return path

    return write
