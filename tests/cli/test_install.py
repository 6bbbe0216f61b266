"""`edgekernel install` where nothing is installed: what it shows, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edgekernel.cli import main
from edgekernel.cli.exits import Exit

NAME = "nowhere-else"
NODE = """
[node]
name = "pump-house"
board = "raspberrypi/4b"

[devices.pump]
driver = "relay"
pin = "GPIO17"
"""
FILES = [
    f"/etc/sysusers.d/{NAME}.conf",
    f"/etc/modules-load.d/{NAME}.conf",
    f"/etc/udev/rules.d/60-{NAME}.rules",
    f"/etc/systemd/system/{NAME}.service",
    f"/etc/systemd/system/{NAME}-standby.service",
]


@pytest.fixture
def node() -> Iterator[Path]:
    """Give a node file that all may read, where a service sees it: not in /tmp."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "node.toml"
        path.write_text(NODE)
        path.chmod(0o644)
        yield path


@pytest.fixture(autouse=True)
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """See to it that nothing was run, and nothing written; the program is where a service sees it,
    wherever these tests are."""
    programs: list[object] = []
    here = Path(sys.executable).resolve()
    monkeypatch.setattr(import_module("edgekernel.cli.install"), "_program", lambda: here)
    monkeypatch.setattr(subprocess, "run", lambda *args, **more: programs.append(args))
    yield
    assert programs == []
    assert not any(Path(each).exists() for each in FILES)


def install(*args: str | Path) -> Result:
    """Run it in this process, for a service that no computer has."""
    return CliRunner().invoke(main, ["install", *map(str, args), "--name", NAME])


def steps(*args: str | Path) -> list[dict[str, Any]]:
    """Return what it says that it would do."""
    done = install(*args, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert all(set(each) == {"step", "what", "text"} for each in found)
    assert isinstance(found, list)
    return found


def written(found: list[dict[str, Any]]) -> dict[str, str]:
    """Return the texts of the files that would be written, by their paths."""
    return {each["what"]: each["text"] for each in found if each["step"] == "write"}


def test_shown(node: Path) -> None:
    """Without --apply each file with its text, and each command with what it is for, is shown, and
    that nothing is done."""
    done = install(node)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "Nothing is done yet. With --apply:"
    heads = [line for line in lines if line.startswith(("write ", "run ", "remove "))]
    assert heads[0] == f"write /etc/sysusers.d/{NAME}.conf"
    assert f"write /etc/systemd/system/{NAME}.service" in heads
    assert heads[-1] == f"run systemctl restart {NAME}.service  (start now, and anew)"
    assert "  g gpio -" in lines
    assert any(line.endswith(f" safe-state {node}") for line in lines)


def test_how_to_go_on(node: Path) -> None:
    """At the end of what would be done stands the command that does it, with the same options, and
    the whole paths of the program and of the node file."""
    lines = install(node, "--no-start", "--user", "anna").stdout.splitlines()
    assert lines[-3] == "Nothing was done. To do it:"
    command = rf"  sudo /\S+ install {node} --no-start --name {NAME} --user anna --apply"
    assert re.fullmatch(command, lines[-1])


def test_refusal_beside_the_plan(node: Path) -> None:
    """What --apply would refuse is told with what it would do, before anybody has tried."""
    node.chmod(0o600)
    done = install(node)
    assert done.exit_code == Exit.DONE
    assert done.stderr.startswith(f"it would be refused: {node}: the user edgekernel may not read ")
    assert f"write /etc/systemd/system/{NAME}.service" in done.stdout


def test_as_json(node: Path) -> None:
    """With --json the same is an array, whose files have their whole texts and whose commands have
    none."""
    found = steps(node)
    texts = written(found)
    assert list(texts) == [FILES[0], *FILES[2:]]
    assert f" run {node}\n" in texts[f"/etc/systemd/system/{NAME}.service"]
    assert f" standby {node}\n" in texts[f"/etc/systemd/system/{NAME}-standby.service"]
    lines = install(node).stdout.splitlines()
    heads = [line for line in lines if line.startswith(("write ", "run ", "remove "))]
    assert [f"{each['step']} {each['what']}" for each in found] == heads
    assert {each["text"] for each in found if each["step"] != "write"} == {None}


def test_less_of_it(node: Path) -> None:
    """A node without a standby gets none, and one that does not start now is not started."""
    assert FILES[-1] not in written(steps(node, "--no-standby"))
    all_of_it, without_start = steps(node), steps(node, "--no-start")
    assert without_start == all_of_it[:-1]
    assert "restart" in all_of_it[-1]["what"]


def test_from_afar(node: Path) -> None:
    """A node without devices that takes a configuration from afar gets a standby, and all that its
    devices may need."""
    table = '[node]\nname = "n"\nboard = "raspberrypi/4b"\ndata = "/srv/n"\n[mqtt]\nhost = "b"\n'
    node.write_text(table)
    assert list(written(steps(node))) == [FILES[0], FILES[3]]
    node.write_text(f"{table}remote_config = true\n")
    texts = written(steps(node))
    assert list(texts) == FILES
    assert texts[FILES[1]].split() == ["cdc-acm", "i2c-dev", "spidev", "usbserial"]
    assert FILES[-1] not in written(steps(node, "--no-standby"))


def test_removal_shown(node: Path) -> None:
    """What a removal takes away is shown too, after the service is stopped."""
    found = steps(node, "--remove")
    assert found[0]["what"].startswith(f"systemctl disable --now {NAME}.service")
    assert {each["what"] for each in found if each["step"] == "remove"} == set(FILES)


@pytest.mark.parametrize("remove", [[], ["--remove"]])
def test_no_systemd(
    node: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, remove: list[str]
) -> None:
    """Where systemd does not run, nothing is begun, and the text says what to do instead."""
    monkeypatch.setattr("edgekernel.node.installation.SYSTEMD", tmp_path / "nothing")
    done = install(node, "--apply", *remove)
    assert done.exit_code == Exit.REFUSED
    assert done.stderr.startswith("this computer is not run by systemd; copy the unit")
    assert done.stdout == ""


@pytest.mark.parametrize("remove", [[], ["--remove"]])
def test_not_root(
    node: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, remove: list[str]
) -> None:
    """Somebody else than root installs nothing, and is told the command."""
    monkeypatch.setattr("edgekernel.node.installation.SYSTEMD", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    done = install(node, "--apply", *remove)
    assert done.exit_code == Exit.REFUSED
    assert done.stderr.startswith("installing needs root: sudo edgekernel install ... --apply\n")
    assert done.stdout == ""


def test_unreadable(node: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file, or a folder on the way to it, that the service's user cannot read is named with what
    mends it, before anything is done."""
    monkeypatch.setattr("edgekernel.node.installation.SYSTEMD", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for closed, mode in ((node, 0o600), (node.parent, 0o700)):
        closed.chmod(mode)
        done = install(node, "--apply", "--user", "anna")
        assert done.exit_code == Exit.REFUSED
        assert done.stderr.startswith(f"{node}: the user anna may not read {closed}; move it")
        assert f"chmod o+rX {closed}\n" in done.stderr
        assert done.stdout == ""


def test_wrong_files(node: Path) -> None:
    """A node file with a mistake, and one that the service would not see, are refused, also for
    the dry run."""
    with tempfile.NamedTemporaryFile("w", dir="/tmp", suffix=".toml") as hidden:
        hidden.write(NODE)
        hidden.flush()
        done = install(hidden.name)
    assert (done.exit_code, done.stdout) == (Exit.REFUSED, "")
    assert done.stderr.startswith(f"{hidden.name}: a service has a /tmp")
    node.write_text(NODE.replace("GPIO17", "GPIO99"))
    done = install(node)
    assert (done.exit_code, done.stdout) == (Exit.REFUSED, "")
    assert "devices.pump" in done.stderr


@pytest.mark.parametrize("option", ["--user", "--name"])
def test_wrong_names(node: Path, option: str) -> None:
    """A name that systemd would take for something else is a mistake in the command line."""
    done = CliRunner().invoke(main, ["install", str(node), option, "../x"])
    assert done.exit_code == Exit.USAGE
    assert option in done.stderr
