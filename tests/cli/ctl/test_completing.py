"""Completion on the command line, as a shell asks for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.brokers import Mosquitto, free_port
from tests.cli.conftest import Agent

PROGRAM = "from edgekernel.cli import main; main(prog_name='edgekernel')"


def completed(port: int, *words: str, shell: str = "bash") -> list[str]:
    """Return what is offered for the last of the words, as the script of a shell gets it."""
    line = ["edgekernel", "ctl", *words]
    env = {
        **os.environ,
        "_EDGEKERNEL_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": " ".join(line),
        "COMP_CWORD": str(len(line) - 1) if shell == "bash" else words[-1],
        "EDGEKERNEL_PORT": str(port),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return [text.removeprefix("plain,") for text in done.stdout.splitlines() if text]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["get", ""], ["bench-1", "bench-2"]),
        (["get", "bench-1", "f"], ["fan"]),
        (["get", "--all", "f"], ["fan"]),
        (["info", "bench-1", ""], []),
        (["watch", "bench-1", ""], ["bench-2"]),
        (["set", "bench-1", ""], ["fan/power"]),
        (["set", "bench-1", "fan/power", "o"], ["off", "on"]),
        (["set", "--where", "zone=south", "fan"], ["fan/power"]),
        (["call", "bench-1", "control.b"], ["control.boost", "control.both"]),
        (["call", "bench-1", "control.boost", ""], ["minutes="]),
        (["call", "bench-1", "control.boost", "minutes", "=", "5", ""], []),
        (["call", "bench-3", ""], []),
        (["call", "bench-1", "sim.drive", "level", "=", ""], ["off", "on"]),
        (["call", "bench-1", "sim.drive", "level", "="], ["off", "on"]),
        (["call", "bench-1", "sim.drive", "level", "=", "of"], ["off"]),
        (["call", "bench-1", "sim.drive", "level", "=", "on", ""], ["line="]),
        (["wat"], ["watch"]),
        (["config", "show", "bench-1"], ["bench-1"]),
        (["config", "pu"], ["push"]),
    ],
    ids=" ".join,
)
def test_what_is_offered(
    broker: Mosquitto, agents: dict[str, Agent], words: list[str], offered: list[str]
) -> None:
    """Names, outputs, values, commands and arguments come from what the nodes have published."""
    assert completed(broker.port, *words) == offered


def test_a_shell_that_leaves_words_whole(broker: Mosquitto, agents: dict[str, Agent]) -> None:
    """Where `name=value` is one word the whole of it is offered."""
    words = ("call", "bench-1", "sim.drive", "level=o")
    assert completed(broker.port, *words, shell="fish") == ["level=off", "level=on"]


def test_without_a_broker() -> None:
    """Where nobody answers nothing is offered, and nothing is said."""
    assert completed(free_port(), "get", "") == []
