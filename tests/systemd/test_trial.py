"""An update on trial, on a computer run by a real systemd: what root hears of the agent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.node.test_slot_trial import slots
from tests.systemd.conftest import INSIDE, SystemdMachine

SERVICE = "edgekernel.service"
STATE, WITNESS = "/data/update/state.json", "/run/edgekernel/witness.json"
NODE = '[node]\nname = "logger"\nboard = "raspberrypi/4b"\napp = "logger"\n'
APP = '''
from edgekernel import Service


class Log(Service):
    """Fails for good, unless the update is whole."""

    name = "log"
    restart = "no"

    def tick(self, ctx):
        if {broken}:
            raise OSError("no room left")


def setup(runtime):
    runtime.register_service(Log())
'''
RAUC = f"""\
#!/bin/sh
case $2 in mark-*) echo "$*" >>{INSIDE}/marked ;; *) cat {INSIDE}/slots.json ;; esac
"""


@pytest.fixture(scope="module")
def shared(machine: SystemdMachine) -> Path:
    """Install a node whose application is broken into a slot that is on trial."""
    folder = machine.shared
    (folder / "node.toml").write_text(NODE)
    (folder / "logger.py").write_text(APP.format(broken=True))
    (folder / "slots.json").write_text(slots())
    (folder / "rauc").write_text(RAUC)
    machine.run("install", INSIDE / "rauc", "/usr/local/bin/rauc")
    machine.run("mkdir", "-p", "/data/update")
    machine.run("sh", "-c", f"""echo '{{"phase": "trial", "slot": "B"}}' >{STATE}""")
    machine.run(machine.program, "install", INSIDE / "node.toml", "--apply")
    return folder


def says(machine: SystemdMachine, run: str, well: bool) -> bool:
    """Return whether this start of the agent has said that it is well, or is not."""
    text = machine.run("cat", WITNESS, check=False)
    said = json.loads(text) if text.startswith("{") else {"run": ""}
    return said["run"] == run and well is not bool(said["unmet"])


def confirm(machine: SystemdMachine, limit_s: int, well: bool) -> str:
    """Let root try the slot out, of an agent that is well or not; return what it says."""
    machine.wait_for(lambda: machine.show(SERVICE, "ActiveState") == "active", "the agent")
    run = machine.show(SERVICE, "InvocationID")
    machine.wait_for(lambda: says(machine, run, well), "its witness")
    places = ("--config", INSIDE, "--kept", "/data/confirmed")
    terms = ("--healthy-for", "1", "--limit", str(limit_s))
    return machine.run(machine.program, "image", "confirm", *places, *terms, check=False)


def test_on_trial(machine: SystemdMachine, shared: Path) -> None:
    """An agent that is ready and whose only service has failed for good is given up, with the
    reason; one whose services work is confirmed. systemd shows the same of both."""
    said = confirm(machine, limit_s=3, well=False)
    assert "services: log (failed, and is not started again: OSError: no room left)" in said
    assert "the update in slot B is given up" in said
    assert machine.show(SERVICE, "StatusText") == "running"
    (shared / "logger.py").write_text(APP.format(broken=False))
    machine.run("systemctl", "restart", SERVICE)
    said = confirm(machine, limit_s=45, well=True)
    assert "slot B is good" in said, said
    assert machine.show(SERVICE, "StatusText") == "running"
    marked = (shared / "marked").read_text().splitlines()
    assert marked == ["status mark-bad booted", "status mark-good booted"]
