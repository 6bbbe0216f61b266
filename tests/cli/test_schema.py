"""`edgekernel schema`: what a node has, for people and machines, without running it."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from edgekernel.cli import main

GREENHOUSE = Path(__file__).parents[2] / "examples/greenhouse/node.toml"


def invoke(*args: str) -> Result:
    """Run the command line in this process, on a wide terminal."""
    return CliRunner().invoke(main, ("schema", *args), env={"COLUMNS": "200"})


def test_a_page_for_people() -> None:
    """Signals with unit and safe value, commands with arguments, messages with their moment."""
    result = invoke(str(GREENHOUSE))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "-40 to 85 °C" in result.stdout
    assert "climate.set_target  celsius" in result.stdout
    assert "heater.switched" in result.stdout


def test_json_for_machines() -> None:
    """An object with devices, commands and messages; what only a simulated node has is not in."""
    result = invoke(str(GREENHOUSE), "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["devices"]["heater"]["outputs"]["power"]["safe"] is False
    assert list(found["commands"]) == ["climate"]


def test_a_wrong_node_file(tmp_path: Path) -> None:
    """Every mistake is told as `check` tells it, and the exit code is 1."""
    path = tmp_path / "node.toml"
    path.write_text('[node]\nname = "x"\nboard = "sim"\n[devices.a]\ndriver = "realy"\npin = "1"\n')
    result = invoke(str(path))
    assert result.exit_code == 1
    assert "did you mean 'relay'" in result.stderr
