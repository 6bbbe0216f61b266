"""docs/howto/simulate.md tells the truth: its files run as it says, and its table is complete."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgekernel.sim.worlds import KINDS as WORLDS

GUIDE = (Path(__file__).parents[2] / "docs/howto/simulate.md").read_text(encoding="utf-8")


def block(language: str, holding: str) -> str:
    """Return the fenced block of a language that holds a text."""
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    return next(each for each in blocks if holding in each)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the guide's files."""
    (tmp_path / "node.toml").write_text(block("toml", "[sim]"), encoding="utf-8")
    (tmp_path / "shed.py").write_text(block("python", "class Control"), encoding="utf-8")
    (tmp_path / "plan.toml").write_text(block("toml", "[[fault]]"), encoding="utf-8")
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in that folder."""
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def command(folder: Path, line: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Run a command as the guide writes it, with more options."""
    program = "from edgekernel.cli import main; main()"
    return run(folder, "-c", program, *line.removeprefix("$ edgekernel ").split(), *more)


def test_the_commands(folder: Path) -> None:
    """The node checks out, and its days go as the guide says: heated, pumped, with its faults."""
    assert command(folder, "$ edgekernel check node.toml").stderr == ""
    plain, faulty, _ = re.findall(r"^\$ edgekernel simulate .*$", GUIDE, re.MULTILINE)
    assert plain == "$ edgekernel simulate node.toml --for 24h"
    done = command(folder, faulty, "--for", "9h", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    outputs = {each["output"]: each for each in told["outputs"]}
    assert outputs["heater.power"]["changes"] > 10
    assert outputs["pump.power"]["changes"] > 2
    assert all(each["good_s"] > 0.9 * told["span_s"] for each in told["readings"])
    assert {each["kind"] for each in told["faults"]} == {"nack", "drift", "welded", "stuck"}
    assert (folder / "day.svg").read_text(encoding="utf-8").startswith("<svg")


def test_the_python_plan(folder: Path) -> None:
    """The plan in Python is played as it is written."""
    (folder / "play.py").write_text(block("python", "Fault(Unplug()"), encoding="utf-8")
    done = run(folder, "play.py")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_journal(folder: Path) -> None:
    """The run is recorded where the guide says, and shown."""
    simulate, show = re.findall(r"^\$ edgekernel .*run-7$", GUIDE, re.MULTILINE)
    assert command(folder, simulate, "--json").returncode == 0
    assert "runtime.booted" in command(folder, show).stdout


def test_every_world_is_named() -> None:
    """The guide has each kind of world, and leads to the page of all faults."""
    assert all(f"| `{word}` |" in GUIDE for word in WORLDS)
    assert "](../faults.md)" in GUIDE
