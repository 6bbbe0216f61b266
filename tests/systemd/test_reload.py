"""A node under a real systemd whose file changes: `systemctl reload`, a start with a bad file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from tests.relays import Relays
from tests.systemd.conftest import INSIDE, SystemdMachine
from tests.systemd.test_service import APP, SERVICE

NODE = """
[node]
name = "pump-house"
board = "raspberrypi/4b"
app = "pumping"
data = "/var/lib/edgekernel"

[config]
healthy_for = "1s"
grace = "2s"

[devices.relays]
driver = "modbus_rtu"
parity = "none"
port = "{port}"
outputs = {{ pump = {{ address = 3, kind = "coil", safe = false }} }}
"""
LAMPS = """
[devices.lamps]
driver = "modbus_rtu"
parity = "none"
port = "{port}"
outputs = {{ lamp = {{ address = 3, kind = "coil", safe = false }} }}
"""


class House:
    """The node, its relay boards, and the service that runs it."""

    def __init__(self, machine: SystemdMachine, relays: Relays, lamps: Relays) -> None:
        self.machine, self.relays, self.lamps = machine, relays, lamps
        self.file = machine.shared / "node.toml"

    def write(self, text: str) -> None:
        """Write the node file anew, as an editor does."""
        written = self.file.with_name("node.toml~")
        written.write_text(text)
        written.rename(self.file)

    def reload(self, text: str, outcome: str) -> None:
        """Change the file, let systemd reload the service, and wait for what comes of it."""
        before = self.count(outcome)
        self.write(text)
        self.machine.run("systemctl", "reload", SERVICE)
        self.machine.wait_for(lambda: self.count(outcome) > before, outcome)

    def count(self, message: str) -> int:
        """Return how often a message stands in the log."""
        return self.machine.log(SERVICE).count(f" {message} ")

    @property
    def pid(self) -> str:
        """The process of the agent."""
        return self.machine.show(SERVICE, "MainPID")

    @property
    def status(self) -> str:
        """What `systemctl status` says of the agent."""
        return self.machine.show(SERVICE, "StatusText")

    def open_ports(self) -> dict[str, str]:
        """Return which of the ports the agent has open, as which file."""
        folder = f"/proc/{self.pid}/fd"
        script = f'for fd in {folder}/*; do echo "$fd" "$(readlink "$fd")"; done'
        found = [line.split(" ") for line in self.machine.run("sh", "-c", script).splitlines()]
        parts = [(fd, target.rpartition("/dev/pts/")) for fd, target in found]
        return {f"/dev/pts/{name}": fd for fd, (_, folder, name) in parts if folder}


@pytest.fixture(scope="module")
def house(machine: SystemdMachine) -> Iterator[House]:
    """Give a node that was installed as a service, its pump running."""
    relays, lamps = Relays(), Relays()
    made = House(machine, relays, lamps)
    made.write(NODE.format(port=relays.port))
    (machine.shared / "pumping.py").write_text(APP)
    machine.run(machine.program, "install", INSIDE / "node.toml", "--apply")
    machine.wait_for(lambda: relays.pump, "the pump to run")
    machine.wait_for(lambda: made.count("config.kept"), "the first trial to be over")
    os.chmod(relays.port, 0o600)  # the agent has it open, and could not open it again
    yield made
    relays.close()
    lamps.close()


def test_applied_live(house: House) -> None:
    """A new device comes, in the process that runs; the pump's port is neither closed nor written
    to by the change, and one that is moved to another port is opened anew alone."""
    pid, since, ports = house.pid, time.monotonic(), house.open_ports()
    assert list(ports) == [house.relays.port]
    text = NODE.format(port=house.relays.port)
    house.reload(text + LAMPS.format(port=house.lamps.port), "config.applied")
    assert house.pid == pid
    assert house.status == "running"
    both = house.open_ports()
    assert both == ports | {house.lamps.port: both[house.lamps.port]}
    other = Relays()
    try:
        house.reload(text + LAMPS.format(port=other.port), "config.applied")
        moved = house.open_ports()
        assert moved == ports | {other.port: moved[other.port]}
        house.reload(text, "config.applied")
        assert house.open_ports() == ports
    finally:
        other.close()
    assert house.relays.changes[-1][0] < since
    assert house.pid == pid


def test_rejected(house: House) -> None:
    """A file with a mistake touches nothing; the status and the log say what is wrong with it."""
    pid, since = house.pid, time.monotonic()
    house.reload(NODE.format(port=house.relays.port) + "[devices.lamps]\n", "config.rejected")
    assert house.status.startswith("running; the changed node file was rejected: node.toml: ")
    assert "devices.lamps" in house.status
    assert "devices.lamps" in house.machine.run("systemctl", "status", SERVICE)
    house.reload("[node", "config.rejected")
    assert (house.pid, house.machine.show(SERVICE, "ActiveState")) == (pid, "active")
    assert house.relays.changes[-1][0] < since
    house.reload(NODE.format(port=house.relays.port), "config.applied")
    assert house.status == "running"


def test_rolled_back(house: House) -> None:
    """A device that does not answer is not well: the node goes back, and says so."""
    pid, since = house.pid, time.monotonic()
    far, near = os.openpty()  # nobody is there
    port = os.ttyname(near)
    os.chmod(port, 0o666)
    try:
        text = NODE.format(port=house.relays.port) + LAMPS.format(port=port)
        house.reload(text, "config.rolled_back")
        assert house.status.startswith("running; the changed node file was rolled back: ")
        assert port not in house.open_ports()
    finally:
        os.close(far)
        os.close(near)
    assert house.pid == pid
    assert house.relays.changes[-1][0] < since
    house.reload(NODE.format(port=house.relays.port), "config.applied")


def test_a_damaged_file_at_the_start(house: House) -> None:
    """A node whose file is torn starts with the last good configuration, degraded, and takes the
    file again when it is mended."""
    house.write("[node")
    os.chmod(house.relays.port, 0o666)
    house.machine.run("systemctl", "restart", SERVICE)
    house.machine.wait_for(lambda: house.relays.pump, "the pump to run again")
    assert house.status.startswith("degraded: node-file")
    house.reload(NODE.format(port=house.relays.port), "config.applied")
    house.machine.wait_for(lambda: house.status == "running", "the node to be whole")
