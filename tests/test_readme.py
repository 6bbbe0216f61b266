"""The README tells the truth: its node file, application and test are run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from edgekernel import Quality
from edgekernel.cli import main
from edgekernel.sim.faults import Fault, Unplug
from edgekernel.testing import Simulation, assert_level, assert_reading
from edgekernel.testing.plugin import NodeFactory

GREENHOUSE = Path(__file__).parents[1] / "examples/greenhouse/node.toml"
README = (Path(__file__).parents[1] / "README.md").read_text()


def block(language: str, holding: str) -> str:
    """Return the fenced block of a language that holds a text."""
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(each for each in blocks if holding in each)


def test_the_two_commands_are_there() -> None:
    """A newcomer finds make demo and make test."""
    assert "make demo" in README
    assert "make test" in README


def saved(folder: Path, name: str) -> None:
    """Save the block before which the README says under which name."""
    found = re.search(
        rf"`{re.escape(name)}`[^`]*(?:`[^`]+`[^`]*)?:\n\n```\w+\n(.*?)```", README, re.DOTALL
    )
    assert found is not None, name
    (folder / name).write_text(found[1])


def edgekernel(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder."""
    return subprocess.run(
        [sys.executable, *args],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_node_file_application_and_test(tmp_path: Path) -> None:
    """Who saves what the README shows under the names it says, and runs what it says, has a node
    file that is right, before and with the application, and a test that passes."""
    cli = "from edgekernel.cli import main; main()"
    saved(tmp_path, "shed.toml")
    checked = edgekernel(tmp_path, "-c", cli, "check", "shed.toml")
    assert checked.returncode == 0, checked.stderr
    saved(tmp_path, "shed_app.py")
    whole = (tmp_path / "shed.toml").read_text()
    table, devices = whole[: whole.index("[devices.fan]")], whole[whole.index("[devices.fan]") :]
    assert table.startswith("[node]\n")
    (tmp_path / "shed.toml").write_text(block("toml", 'app = "shed_app"') + "\n" + devices)
    checked = edgekernel(tmp_path, "-c", cli, "check", "shed.toml")
    assert checked.returncode == 0, checked.stderr
    saved(tmp_path, "test_shed.py")
    assert "`pytest test_shed.py`" in README
    tested = edgekernel(tmp_path, "-m", "pytest", "-p", "no:cacheprovider", "test_shed.py")
    assert tested.returncode == 0, tested.stdout
    assert "1 passed" in tested.stdout


def test_the_demo_answers(node: NodeFactory, sim: Simulation) -> None:
    """Each command for the demo changes something that one sees: the button opens the vent, the
    target switches heater and lamp off, and the lamp is lit."""
    said = re.findall(r"ctl (set|call) greenhouse-1 (\S+) (\S+)\n", README)
    press, target, lamp = said
    house: Any = node(GREENHOUSE)
    sim.run(60)
    assert [house.is_on(each) for each in ("vent", "heater", "lamp")] == [False, True, True]
    assert press == ("call", "sim.press", "device=airing")
    house.invoke("sim.press", device="airing")
    sim.run(1)
    assert house.is_on("vent")
    assert target == ("call", "climate.set_target", "celsius=10")
    assert house.invoke("climate.set_target", celsius=10) == 21
    sim.run(1)
    assert not house.is_on("heater")
    assert not house.is_on("lamp")
    assert lamp == ("set", "lamp/light", "on")
    house.lamp.light.set(True)
    sim.run(1)
    assert house.is_on("lamp")


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
