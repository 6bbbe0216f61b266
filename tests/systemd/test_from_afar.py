"""A node under a real systemd that takes a configuration from afar: what it may use beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.systemd.conftest import INSIDE, SystemdMachine
from tests.systemd.test_service import SERVICE, STANDBY

NODE = """
[node]
name = "pump-house"
board = "raspberrypi/4b"
data = "/var/lib/edgekernel"

[mqtt]
host = "127.0.0.1"
remote_config = {}
"""


def may_use(machine: SystemdMachine, unit: str, file: str) -> bool:
    """Say whether systemd lets the processes of a unit at a device; does not open it."""
    group = machine.show(unit, "ControlGroup")
    join = f"echo $$ >/sys/fs/cgroup{group}/cgroup.procs"
    look = f"test -r {file} -a -w {file} && echo yes || echo no"
    return machine.run("sh", "-c", f"{join} && ({look})").strip() == "yes"


def test_devices(machine: SystemdMachine) -> None:
    """A node whose file has no device is let at none, and has no standby, unless it may get some
    from afar: then at a serial port too, as its standby, which is there already."""
    kinds = [line.split() for line in Path("/proc/devices").read_text().splitlines()]
    major = next((kind[0] for kind in kinds if kind[1:] == ["ttyS"]), None)
    if major is None:
        pytest.skip("the kernel has no serial ports")
    file = machine.shared / "node.toml"
    machine.run("mknod", "/run/port", "c", major, "64")
    for remote in (False, True):
        file.write_text(NODE.format(str(remote).lower()))
        machine.run(machine.program, "install", INSIDE / file.name, "--apply")
        assert may_use(machine, SERVICE, "/dev/null")
        assert may_use(machine, SERVICE, "/run/port") is remote
        assert machine.show(STANDBY, "LoadState") == ("loaded" if remote else "not-found")
    assert may_use(machine, STANDBY, "/run/port")
    agent = machine.show(SERVICE, "MainPID")
    machine.wait_for(
        lambda: any("standby.ready" in line for line in machine.said(agent)), "the standby"
    )
