"""The README tells the truth: its node file, application and test are run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgekernel import Quality
from edgekernel.cli import main
from edgekernel.sim.faults import Fault, Unplug
from edgekernel.testing import Simulation, assert_level, assert_reading
from edgekernel.testing.plugin import NodeFactory

README = (Path(__file__).parents[1] / "README.md").read_text()


def block(language: str, holding: str) -> str:
    """Return the fenced block of a language that holds a text."""
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(each for each in blocks if holding in each)


def test_the_two_commands_are_there() -> None:
    """A newcomer finds make demo and make test."""
    assert "make demo" in README
    assert "make test" in README


def test_node_file_application_and_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: NodeFactory, sim: Simulation
) -> None:
    """The README's application, put into the README's node file, passes the README's test."""
    text = block("toml", "[devices.fan]").replace("[node]", '[node]\napp = "shed_app"')
    (tmp_path / "shed.toml").write_text(text)
    (tmp_path / "shed_app.py").write_text(block("python", "class Cooling"))
    monkeypatch.chdir(tmp_path)
    checked = CliRunner().invoke(main, ["check", "shed.toml"])
    assert checked.exit_code == 0, checked.output
    names: dict[str, object] = {}
    exec(compile(block("python", "def test_the_fan_cools"), "README.md", "exec"), names)  # noqa: S102 (that is the point)
    test = names["test_the_fan_cools"]
    assert callable(test)
    test(node, sim)


def test_the_commands_of_the_readme_exist() -> None:
    """Every subcommand that the README shows has help."""
    shown = set(
        re.findall(r"edgekernel (board|check|run|ctl|boards|devices|doctor|scan)\b", README)
    )
    assert shown == {"board", "check", "run", "ctl", "boards", "devices", "doctor", "scan"}
    for name in shown:
        assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


def test_the_second_node_file(tmp_path: Path) -> None:
    """The node file with limits, an expander and filters is right too."""
    path = tmp_path / "tank.toml"
    path.write_text(block("toml", "[devices.io]"))
    checked = CliRunner().invoke(main, ["check", "--strict", str(path)])
    assert checked.exit_code == 0, checked.output
    shown = CliRunner().invoke(main, ["board", "show", "--node", str(path)])
    assert "drain" in shown.output


def test_the_fan_is_safe_without_its_sensor(node: NodeFactory) -> None:
    """What the README says of a failing sensor: the fan goes to its safe value, and comes back."""
    names: dict[str, Any] = {}
    exec(compile(block("python", "class Cooling"), "README.md", "exec"), names)  # noqa: S102 (as above)
    away = Fault(Unplug(), device="room", at_s=20, for_s=20)
    shed: Any = node(block("toml", "[devices.fan]"), setup=names["setup"], faults=[away])
    shed.chip("room").temperature_c = 31.0
    assert_level(shed.board.line("GPIO17"), True, within=10)
    assert_reading(shed.room.temperature, 31, abs=0.1, quality=Quality.BAD, within=20)
    assert_level(shed.board.line("GPIO17"), False)
    assert_level(shed.board.line("GPIO17"), True, within=40)
