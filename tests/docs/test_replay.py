"""docs/replay.md tells the truth: its shed fails, its test fails and passes, its lines are those
that are shown."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from edgekernel.journal.replay.acts import OF_THIS_MACHINE
from edgekernel.testing import Incident
from tests.testing.conftest import PLUGIN, use_these_sources

PAGE = (Path(__file__).parents[2] / "docs/replay.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (edgekernel .*)$", PAGE, re.MULTILINE)
BUG = "60 / excess"


def command(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the page in a folder."""
    program = "from edgekernel.cli import main; main()"
    return python(folder, "-c", program, *shlex.split(line)[1:])


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's files, and its journal."""
    use_these_sources(monkeypatch)
    blocks = re.findall(r"```(?:toml|python)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
    assert [name for name, _ in blocks] == ["node.toml", "shed.py", "summer.py"]
    for name, text in blocks:
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = command(tmp_path, COMMANDS[0])
    assert (done.returncode, done.stderr) == (0, "")
    return tmp_path


def without_times(text: str) -> list[str]:
    """Return the lines of a text without dates and times."""
    lines = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?", "TIME", text).strip().splitlines()
    return [" ".join(line.split()) for line in lines]


def change(folder: Path, old: str, new: str) -> None:
    """Change the application."""
    path = folder / "shed.py"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_page(folder: Path) -> None:
    """The commands show what the page shows; the test fails with the bug and passes without."""
    _, export, expect, replay = COMMANDS
    done = command(folder, export)
    assert (done.returncode, done.stderr) == (0, "")
    (shown,) = re.findall(r"^(test_incident.py: .*\n.*)$", PAGE, re.MULTILINE)
    assert without_times(done.stdout) == without_times(shown)
    text = (folder / "test_incident.py").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(def test_incident.*?)```", PAGE, re.DOTALL)
    assert re.sub(r"\d{4}-\d\d-\d\d", "2026-11-28", text).count(example) == 1

    pytest_ = ("-m", "pytest", "-q", "-p", "no:cacheprovider", *PLUGIN)
    failed = python(folder, *pytest_, "test_incident.py")
    assert (failed.returncode, "ZeroDivisionError" in failed.stdout) == (1, True)
    done = command(folder, replay)
    assert (done.returncode, done.stderr) == (0, "")
    head, *_notes, count = without_times(done.stdout)  # a busy machine polls late: that is noted
    assert head in without_times(PAGE)
    assert count.startswith("no differences, ")

    change(folder, BUG, "60 / max(1, excess)")
    assert python(folder, *pytest_, "test_incident.py").returncode == 0
    change(folder, "60 / max(1, excess)", BUG)
    change(folder, "celsius > 25", "celsius > 26")
    done = command(folder, replay)
    assert done.returncode == 1
    (lines,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    told = [line for line in without_times(done.stdout) if not line.startswith("note:")]
    assert told[2:] == without_times(lines)
    begun = re.search(r"replayed from (\S+ \S+) to", done.stdout)
    assert begun is not None
    expect = expect.replace("03:00:02", begun[1].replace(" ", "T"))
    done = command(folder, f"{expect} --no-check")
    assert (done.returncode, done.stderr) == (0, "")
    assert python(folder, *pytest_, "test_fan.py").returncode in (0, 1)


def test_names() -> None:
    """The page names every assertion of a replay, and every message that is not compared."""
    methods = {name for name in dir(Incident) if name.startswith("assert_")}
    assert methods == set(re.findall(r"`(assert_\w+)`", PAGE))
    assert all(f"`{name}`" in PAGE for name in OF_THIS_MACHINE)
