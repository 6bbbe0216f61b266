"""docs/howto/add-a-driver.md tells the truth: its two files make a driver that works."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

GUIDE = (Path(__file__).parents[2] / "docs/howto/add-a-driver.md").read_text(encoding="utf-8")


def block(language: str, holding: str) -> str:
    """Return the fenced block of a language that holds a text."""
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    return next(each for each in blocks if holding in each)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the guide's package installed, as the guide says."""
    package = tmp_path / "my_drivers"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tmp102.py").write_text(block("python", "class TMP102(Device)"), encoding="utf-8")
    (tmp_path / "test_tmp102.py").write_text(block("python", "def test_worked"), encoding="utf-8")
    (tmp_path / "node.toml").write_text(block("toml", "[devices.room]"), encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(block("toml", "entry-points"), encoding="utf-8")
    site = tmp_path / "site"
    made = run(tmp_path, "-c", "from hatchling.build import build_editable as b; print(b('site'))")
    assert made.returncode == 0, made.stderr
    with ZipFile(site / made.stdout.split()[-1]) as wheel:  # what `pip install -e .` unpacks
        wheel.extractall(site)
    assert [path.read_text().strip() for path in site.glob("*.pth")] == [str(tmp_path)]
    return tmp_path


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in that folder."""
    path = os.pathsep.join([str(site), str(site / "site"), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=site,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_driver_passes_its_test(site: Path) -> None:
    """The guide's test passes on the guide's driver."""
    result = run(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_tmp102.py")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "10 passed" in result.stdout


def test_the_commands_find_it(site: Path) -> None:
    """`edgekernel devices` lists the driver, and `check` takes the guide's node file."""
    cli = "from edgekernel.cli import main; main()"
    listed = run(site, "-c", cli, "devices", "--json")
    (tmp102,) = [each for each in json.loads(listed.stdout) if each["name"] == "tmp102"]
    assert [setting["name"] for setting in tmp102["settings"]] == ["bus", "address"]
    checked = run(site, "-c", cli, "check", "node.toml")
    assert checked.returncode == 0, checked.stderr
    found = run(site, "-c", cli, "scan", "--node", "node.toml", "--sim", "--json")
    assert json.loads(found.stdout)["places"][0]["device"] == "room"
