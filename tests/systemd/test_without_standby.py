"""A node without a standby under a real systemd: what is run after its end makes it safe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.brokers import free_port
from tests.relays import Relays
from tests.systemd.conftest import INSIDE, SystemdMachine
from tests.systemd.test_service import APP, NODE, SERVICE, STANDBY


@pytest.fixture(scope="module", autouse=True)
def node(machine: SystemdMachine, relays: Relays) -> None:
    """Install the node as a service, without a standby."""
    (machine.shared / "node.toml").write_text(NODE.format(port=relays.port, nobody=free_port()))
    (machine.shared / "password").write_text("hush")
    (machine.shared / "pumping.py").write_text(APP)
    machine.run(machine.program, "install", INSIDE / "node.toml", "--no-standby", "--apply")


@contextmanager
def killed(machine: SystemdMachine, relays: Relays, settings: str = "") -> Iterator[None]:
    """Give the time after `kill -9`, when systemd has done what it does; no other agent starts."""
    machine.wait_for(lambda: relays.pump, "the pump to run")
    try:
        with machine.changed(SERVICE, f"[Service]\nRestart=no\n{settings}"):
            machine.run("kill", "-KILL", machine.show(SERVICE, "MainPID"))
            machine.wait_for(lambda: machine.show(SERVICE, "ActiveState") == "failed", "the end")
            yield
    finally:
        machine.run("systemctl", "start", SERVICE)


def test_safe_state(machine: SystemdMachine, relays: Relays) -> None:
    """P8: `safe-state`, which systemd runs after the end, leaves the pump off by itself."""
    assert machine.show(STANDBY, "LoadState") == "not-found"
    with killed(machine, relays):
        assert not relays.pump
        machine.wait_for(lambda: "]: relays.pump: off" in machine.log(SERVICE), "what it did")


def test_nobody(machine: SystemdMachine, relays: Relays) -> None:
    """What these tests look at is nobody else's work: without `safe-state` the pump stays on, until
    somebody runs that."""
    with killed(machine, relays, "ExecStopPost=\n"):
        assert relays.pump
        machine.run(machine.program, "safe-state", INSIDE / "node.toml")
        assert not relays.pump
