"""`edgekernel doctor`: what it prints of this computer, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgekernel.cli import main
from edgekernel.cli.exits import Exit

BOARD = '[node]\nname = "bench"\nboard = "raspberrypi/4b"\n'
MISSING = f"""{BOARD}
[devices.position]
driver = "gps"
port = "/dev/edgekernel-is-not-there"
"""


def invoke(*args: str | Path) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(main, ["doctor", *map(str, args)])


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A node file that needs a port which no computer has."""
    path = tmp_path / "node.toml"
    path.write_text(MISSING, encoding="utf-8")
    return path


def test_something_is_missing(node: Path) -> None:
    """What a node needs and this computer has not is an error with its fix, in JSON and as text,
    and ends with 1."""
    result = invoke(node, "--json")
    assert result.exit_code == Exit.REFUSED
    found = {each["subject"]: each for each in json.loads(result.stdout)}
    port = found["/dev/edgekernel-is-not-there"]
    assert (port["level"], port["text"]) == ("error", "not there")
    assert port["fix"].startswith("plug it in")
    assert [each for each in found.values() if each["level"] != "ok" and not each["fix"]] == []
    result = invoke(node)
    assert result.exit_code == Exit.REFUSED
    said = result.stdout.splitlines()
    at = said.index("error    /dev/edgekernel-is-not-there: not there")
    assert said[at + 1] == f"         -> {port['fix']}"


def test_nothing_is_missing(node: Path) -> None:
    """A node that needs nothing finds no error of its own: only one of the computer ends with 1."""
    node.write_text(BOARD, encoding="utf-8")
    result = invoke(node, "--json")
    found = json.loads(result.stdout)
    assert {"user", "board", "memory", "time"} <= {each["subject"] for each in found}
    assert {frozenset(each) for each in found} == {frozenset(("level", "subject", "text", "fix"))}
    errors = [each["subject"] for each in found if each["level"] == "error"]
    assert [each for each in errors if not each.startswith(("disk", "temperature", "power"))] == []
    assert result.exit_code == (Exit.REFUSED if errors else Exit.DONE)


def test_a_wrong_name() -> None:
    """A board that nobody knows is refused before anything is looked at."""
    result = invoke("--board", "raspberrypi/4c", "--json")
    assert (result.exit_code, result.stdout) == (Exit.REFUSED, "")
    assert "raspberrypi/4b" in result.stderr


def test_a_wrong_file(node: Path) -> None:
    """A node file that is wrong is refused with its problems, before anything is looked at."""
    node.write_text(MISSING.replace('"gps"', '"gpss"'), encoding="utf-8")
    result = invoke(node)
    assert (result.exit_code, result.stdout) == (Exit.REFUSED, "")
    assert "gpss" in result.stderr
