"""The `edgekernel` command itself: it teaches, and its exit codes mean something."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgekernel.cli import main
from edgekernel.cli.exits import Exit
from tests.cli.conftest import command

ON_A_BOARD = """
import sys
sys.modules["greenlet"] = None  # as if it were not installed
from edgekernel.cli import main
main()
"""
COMMANDS = ("board", "boards", "check", "ctl", "devices", "run")


def invoke(*args: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(main, args)


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_teaches(flag: str) -> None:
    """The help says what a node is, how to try one without hardware, and each exit code."""
    result = invoke(flag)
    assert result.exit_code == 0
    for words in ("A node is", "edgekernel check node.toml", "run node.toml --sim"):
        assert words in result.output
    for name in COMMANDS:
        assert f"\n  {name} " in result.output
    assert "Exit codes:" in result.output
    for code in Exit:
        assert f"\n    {code.value}  {code.meaning}\n" in result.output


def test_without_arguments() -> None:
    """Without arguments the help is shown, as wrong usage."""
    result = invoke()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "edgekernel check node.toml" in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    """Every subcommand explains itself, in the words with which it is listed."""
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert f"Usage: main {name}" in result.output


@pytest.mark.parametrize("name", ["call", "get", "nodes", "set", "watch"])
def test_every_ctl_command_has_help(name: str) -> None:
    """Every subcommand of `ctl` explains itself."""
    result = invoke("ctl", name, "--help")
    assert result.exit_code == 0
    assert f"Usage: main ctl {name}" in result.output


def test_every_board_command_has_help() -> None:
    """Every subcommand of `board` explains itself."""
    result = invoke("board", "show", "--help")
    assert result.exit_code == 0
    assert "Usage: main board show" in result.output


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("chekc", "no command 'chekc'; did you mean 'check'?"),
        ("device", "no command 'device'; did you mean 'devices'?"),
        ("sim", "no command 'sim'; did you mean 'simulate'?"),
        ("xyzzy", "no command 'xyzzy'; there are: board, boards, broker, "),
    ],
)
def test_unknown_command(wrong: str, said: str) -> None:
    """An unknown command is wrong usage and suggests the nearest, or says what there is."""
    result = invoke(wrong)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_unknown_option() -> None:
    """An unknown option is wrong usage and suggests the nearest."""
    result = invoke("check", "--jsn", "node.toml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--json" in result.stderr


def test_version() -> None:
    """`--version` is the version of the installed distribution."""
    result = invoke("--version")
    assert (result.exit_code, result.output) == (
        0,
        f"edgekernel, version {version('edgekernel')}\n",
    )


@pytest.mark.parametrize("group", ["board", "broker", "config", "incident", "journal", "node"])
def test_lists_of_commands_are_whole(group: str) -> None:
    """In a terminal of 80 columns no command of a list is explained by half a sentence."""
    shown = (
        CliRunner().invoke(main, [group, "--help"], env={"COLUMNS": "80"}, terminal_width=80).stdout
    )
    listed = shown.partition("\nCommands:\n")[2].partition("\n\n")[0]
    assert listed
    assert "..." not in listed


@pytest.mark.parametrize(
    "command", [["check"], ["plan"], ["run"], ["simulate"], ["schema"], ["config", "show"]]
)
def test_unreadable_node_file(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a file can be read turns out when it is read, and is told as of one that is not
    there: in a line, exit 1."""
    node = tmp_path / "node.toml"
    node.mkdir()  # unreadable for root too
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    result = CliRunner().invoke(main, [*command, str(node)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"{node}: this is a folder; name the file in it\n"


@pytest.mark.parametrize("words", [["boards"], ["devices", "--json"], ["journal", "--help"]])
def test_output_that_cannot_be_written(words: list[str]) -> None:
    """A full disk under standard output is a line, exit 1."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command(*words), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("words", [["boards"], ["devices", "--json"]])
def test_nobody_reads(words: list[str]) -> None:
    """Whoever was reading, such as `head`, has seen enough: exit 0, without a word."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command(*words), stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [["run", "--for", "0"], ["safe-state"], ["check"]])
def test_without_the_simulation(command: list[str], tmp_path: Path) -> None:
    """What a board does, first of all its safe state, needs no package of the `sim` extra."""
    node = tmp_path / "node.toml"
    node.write_text('[node]\nname = "bare"\nboard = "raspberrypi/4b"\n')
    done = subprocess.run(
        [sys.executable, "-c", ON_A_BOARD, *command, str(node)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
