"""A computer run by systemd, for one module: namespaces of this one, on a copy of its files.

It is a real systemd; only what it would do to the hardware is taken out (`start-machine`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.relays import Relays

LIMIT_S = 60.0
START = Path(__file__).with_name("start-machine")
TREE, THERE = Path(__file__).parents[2], Path("/opt/edgekernel")
"""This tree, here and on the computer, where /tmp is another one."""
_PROGRAM = """\
#!{python}
import sys
sys.path[:0] = [{tree!r}, {tree!r} + "/devices", {tree!r} + "/boards"]
from edgekernel.cli import main
main()
"""


INSIDE = Path("/etc/edgekernel")


class SystemdMachine:
    """The computer; `shared` is the folder here that is /etc/edgekernel there."""

    def __init__(self, folder: Path, shared: Path) -> None:
        self.shared = shared
        program = shared / "edgekernel"
        python = Path(sys.executable)
        if python.is_relative_to(TREE):
            python = THERE / python.relative_to(TREE)
        program.write_text(_PROGRAM.format(python=python, tree=str(THERE)))
        program.chmod(0o755)
        self.program = INSIDE / "edgekernel"
        """The command there: of the tree that these tests belong to."""
        self._outside = subprocess.Popen(
            [
                *("unshare", "--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc"),
                *("--cgroup", str(START), str(folder), str(shared), str(TREE)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._first = ""
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        self.wait_for(self._is_up, "systemd to come up")
        # There only, as the agent is another user; the tree itself is as it is here.
        for folder in Path(sys.executable).resolve().parents:
            self.run("chmod", "o+rx", folder)

    def run(self, *command: str | Path, check: bool = True) -> str:
        """Run a program there, to its end; return what it said."""
        done = subprocess.run(
            ["nsenter", "-t", self._first, "-a", "-r", "-w", *map(str, command)],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", name, unit).strip()

    def log(self, unit: str) -> str:
        """Return what a unit has logged."""
        return self.run("journalctl", "--no-pager", "-o", "short-monotonic", "-u", unit)

    def said(self, process: str) -> list[str]:
        """Return the lines that a process has logged."""
        lines = self.run("journalctl", "--no-pager", "-o", "cat", "-q", f"_PID={process}")
        return lines.splitlines()

    @contextmanager
    def changed(self, unit: str, settings: str) -> Iterator[None]:
        """Have other settings for a unit meanwhile, over all that it has."""
        folder = f"/run/systemd/system/{unit}.d"
        self.run("mkdir", "-p", folder)
        self.run("sh", "-c", f"printf '%s' '{settings}' >{folder}/zz-meanwhile.conf")
        self.run("systemctl", "daemon-reload")
        try:
            yield
        finally:
            self.run("rm", "-r", folder)
            self.run("systemctl", "daemon-reload")

    def wait_for(self, holds: object, what: str) -> None:
        """Wait until something holds."""
        assert callable(holds)
        end = time.monotonic() + LIMIT_S
        while not holds():
            if self._outside.poll() is not None:
                assert self._outside.stdout is not None
                raise AssertionError(f"systemd has ended: {self._outside.stdout.read()}")
            assert time.monotonic() < end, f"waited in vain for {what}"
            time.sleep(0.02)

    def close(self) -> None:
        """End it with all that runs there."""
        self._outside.kill()  # its namespaces, and so all processes in them, end with the first
        self._outside.communicate(timeout=LIMIT_S)

    def _is_up(self) -> bool:
        if not self._first:
            children = Path(f"/proc/{self._outside.pid}/task/{self._outside.pid}/children")
            self._first = children.read_text().strip()
            return False
        state = self.run("systemctl", "is-system-running", check=False).strip()
        return state in ("running", "degraded")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdMachine]:
    """Give a computer run by systemd."""
    if os.geteuid() != 0:
        pytest.skip("namespaces with a systemd of their own need root")
    shared = tmp_path_factory.mktemp("shared")
    folder = tmp_path_factory.mktemp("machine")
    shared.chmod(0o755)
    machine = SystemdMachine(folder, shared)
    try:
        yield machine
    finally:
        machine.close()


@pytest.fixture(scope="module")
def relays() -> Iterator[Relays]:
    """Give a relay board at a serial port of that computer."""
    made = Relays()
    yield made
    made.close()
