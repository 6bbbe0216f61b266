"""A node as a service of a real systemd: what it drives is safe after every end."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.brokers import free_port
from tests.relays import Relays
from tests.systemd.conftest import INSIDE, SystemdMachine

Record = Callable[[str, object], None]
SERVICE, STANDBY = "edgekernel.service", "edgekernel-standby.service"
NODE = """
[node]
name = "pump-house"
board = "raspberrypi/4b"
app = "pumping"
data = "/var/lib/edgekernel"

[devices.relays]
driver = "modbus_rtu"
parity = "none"
port = "{port}"
outputs = {{ pump = {{ address = 3, kind = "coil", safe = false }} }}

[mqtt]
host = "127.0.0.1"
port = {nobody}
username = "pump-house"
password_file = "password"
"""
APP = '''
import os
import time
from pathlib import Path
from edgekernel import Service

FOLDER = Path("/etc/edgekernel")


class Pumping(Service):
    """Keeps the pump on; a file named hang makes it hang, one named exit ends the process."""

    name = "pumping"
    interval = 0.05
    critical = True
    tick_limit_s = 1.0

    def tick(self, ctx):
        relays = ctx.devices["relays"]
        if relays.outputs["pump"].last is not True:
            relays.outputs["pump"].set(True)
        if (FOLDER / "hang").exists():
            time.sleep(3600)
        if (FOLDER / "exit").exists():
            os._exit(7)


def setup(runtime):
    runtime.register_service(Pumping())
'''


@pytest.fixture(scope="module")
def node(machine: SystemdMachine, relays: Relays) -> Path:
    """Install the node as a service; give its file."""
    node = machine.shared / "node.toml"
    node.write_text(NODE.format(port=relays.port, nobody=free_port()))
    password = machine.shared / "password"
    password.write_text("for root alone")
    password.chmod(0o600)
    (machine.shared / "pumping.py").write_text(APP)
    drop_in = "/etc/systemd/system/edgekernel.service.d"
    machine.run("mkdir", "-p", drop_in)
    short = "[Service]\\nWatchdogSec=2\\nRestartSec=1\\n"
    machine.run("sh", "-c", f"printf '{short}' >{drop_in}/short.conf")
    machine.run(machine.program, "install", INSIDE / node.name, "--apply")
    machine.wait_for(lambda: relays.pump, "the pump to run")
    return node


@contextmanager
def no_next(machine: SystemdMachine, settings: str = "") -> Iterator[Callable[[], None]]:
    """Let an agent end, and the next one begin only after that: its start makes all safe too.

    Gives a function that waits until systemd has done all that it does after an end.
    """

    def wait() -> None:
        machine.wait_for(lambda: machine.show(SERVICE, "SubState") == "auto-restart", "an end")
        assert machine.show(SERVICE, "MainPID") == "0"

    try:
        with machine.changed(SERVICE, f"[Service]\nRestartSec=1h\n{settings}"):
            yield wait
    finally:
        machine.run("systemctl", "restart", SERVICE)


def restarted(machine: SystemdMachine, relays: Relays, before: str) -> dict[str, str]:
    """Wait until the agent runs again after its process `before`; return why it says it does."""
    machine.wait_for(lambda: machine.show(SERVICE, "MainPID") not in ("0", before), "a new agent")
    machine.wait_for(lambda: relays.pump, "the pump to run again")
    says = f"[{machine.show(SERVICE, 'MainPID')}]: agent.started"  # journald may be behind

    def told() -> list[str]:
        return [line for line in machine.log(SERVICE).splitlines() if says in line]

    machine.wait_for(told, "the agent to say why it was started")
    words = told()[-1].partition("cause=")[2].split("  detail=")
    return {"cause": words[0].strip(), "detail": words[1].strip()}


def standby_said(machine: SystemdMachine, agent: str) -> str:
    """Return what the agent with this process has said of its standby last: ready, or lost."""
    said = [line.split()[0] for line in machine.said(agent) if line.startswith("standby.")]
    return said[-1].removeprefix("standby.") if said else ""


def off_after(relays: Relays, since: float) -> float:
    """Return how many seconds after a moment the pump went off."""
    return next(when for when, on in relays.changes if not on and when >= since) - since


@pytest.mark.usefixtures("node")
def test_ready(machine: SystemdMachine) -> None:
    """The service counts as started when the node has booted, and says how it is."""
    assert machine.show(SERVICE, "ActiveState") == "active"
    assert machine.show(SERVICE, "StatusText") == "running, without its broker"
    assert machine.show(SERVICE, "User") == "edgekernel"


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(("unit", "percent", "lines"), [(SERVICE, 60, 2000), (STANDBY, 20, 200)])
def test_bounded(machine: SystemdMachine, unit: str, percent: int, lines: int) -> None:
    """What the agent and its standby use of the computer is bounded, and what they log."""
    expected = {
        "TasksMax": "512",
        "LimitNOFILE": "4096",
        "LimitCORE": "0",
        "OOMPolicy": "stop",
        "LogRateLimitIntervalUSec": "30s",
        "LogRateLimitBurst": str(lines),
    }
    assert {name: machine.show(unit, name) for name in expected} == expected
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < int(machine.show(unit, "MemoryMax")) <= memory * percent / 100


@pytest.mark.usefixtures("node")
def test_log(machine: SystemdMachine) -> None:
    """journald knows the priority of each event and writes the time itself."""
    lines = machine.run(
        "journalctl", "-u", SERVICE, "-o", "json", "--output-fields=MESSAGE,PRIORITY"
    )
    told = {each["MESSAGE"].split("  ")[0]: each for each in map(json.loads, lines.splitlines())}
    assert told["runtime.booted"]["PRIORITY"] == "6"


@pytest.mark.usefixtures("node")
def test_killed(machine: SystemdMachine, relays: Relays, record_property: Record) -> None:
    """P8: `kill -9` of the agent leaves the pump off, before a new agent runs, which knows why."""
    before = machine.show(SERVICE, "MainPID")
    with no_next(machine) as wait:
        since = time.monotonic()
        machine.run("kill", "-KILL", before)
        wait()
        assert not relays.pump
        record_property("safe_after_s", off_after(relays, since))
    assert restarted(machine, relays, before) == {
        "cause": "killed",
        "detail": "signal (killed KILL)",
    }


@pytest.mark.usefixtures("node")
def test_fault(machine: SystemdMachine, relays: Relays) -> None:
    """P8: an agent that ends of a fault in native code has crashed, though no core is kept of it;
    the pump is off before the next one runs."""
    before = machine.show(SERVICE, "MainPID")
    with no_next(machine) as wait:
        machine.run("kill", "-SEGV", before)
        wait()
        assert not relays.pump
    assert restarted(machine, relays, before) == {
        "cause": "crash",
        "detail": "signal (killed SEGV)",
    }


@pytest.mark.usefixtures("node")
def test_exit(machine: SystemdMachine, relays: Relays) -> None:
    """P8: so has one whose process an application ends; the pump is off before the next one."""
    before, marker = machine.show(SERVICE, "MainPID"), machine.shared / "exit"
    with no_next(machine) as wait:
        marker.touch()
        wait()
        marker.unlink()
        assert not relays.pump
    assert restarted(machine, relays, before) == {
        "cause": "crash",
        "detail": "exit-code (exited 7)",
    }


@pytest.mark.usefixtures("node")
def test_standby(machine: SystemdMachine, relays: Relays) -> None:
    """P8: the standby alone leaves the pump off, without what systemd runs after the end. The next
    agent has another one, in a cgroup of its own, which memory runs out for last."""
    before, standby = machine.show(SERVICE, "MainPID"), machine.show(STANDBY, "MainPID")
    machine.wait_for(lambda: standby_said(machine, before) == "ready", "the standby")
    with no_next(machine, "ExecStopPost=\n") as wait:
        machine.run("kill", "-KILL", before)
        wait()
        machine.wait_for(lambda: machine.show(STANDBY, "ActiveState") == "inactive", "its end")
        assert not relays.pump
        machine.wait_for(lambda: "  relays.pump: off" in machine.said(standby), "what it did")
    restarted(machine, relays, before)
    machine.wait_for(lambda: machine.show(STANDBY, "ActiveState") == "active", "another standby")
    assert machine.show(STANDBY, "ControlGroup") != machine.show(SERVICE, "ControlGroup")
    assert machine.show(STANDBY, "OOMScoreAdjust") == "-900"


@pytest.mark.usefixtures("node")
def test_standby_killed(machine: SystemdMachine) -> None:
    """P8: a standby that is killed is told of, and another one takes its place."""
    agent = machine.show(SERVICE, "MainPID")
    machine.wait_for(lambda: standby_said(machine, agent) == "ready", "the standby")
    before = machine.show(STANDBY, "MainPID")
    machine.run("kill", "-KILL", before)
    machine.wait_for(lambda: machine.show(STANDBY, "MainPID") not in ("0", before), "another one")
    machine.wait_for(lambda: standby_said(machine, agent) == "ready", "that it is ready")
    assert "standby.lost" in machine.log(SERVICE)


@pytest.mark.usefixtures("node")
def test_frozen(machine: SystemdMachine, relays: Relays, record_property: Record) -> None:
    """P7: an agent of which nothing moves any more does not feed systemd's watchdog: it is ended,
    and the pump is off before a new agent runs."""
    before = machine.show(SERVICE, "MainPID")
    with no_next(machine) as wait:
        since = time.monotonic()
        machine.run("kill", "-STOP", before)
        wait()
        assert not relays.pump
        record_property("safe_after_s", off_after(relays, since))
    assert restarted(machine, relays, before) == {
        "cause": "watchdog",
        "detail": "watchdog (killed ABRT)",
    }


@pytest.mark.usefixtures("node")
def test_hung(machine: SystemdMachine, relays: Relays) -> None:
    """P7: an agent with a critical service that hangs ends by itself, safe; a new one runs."""
    before, marker = machine.show(SERVICE, "MainPID"), machine.shared / "hang"
    with no_next(machine) as wait:
        marker.touch()
        wait()
        marker.unlink()
        assert not relays.pump
    assert restarted(machine, relays, before)["cause"] == "critical"


@pytest.mark.usefixtures("node")
def test_stopped(machine: SystemdMachine, relays: Relays) -> None:
    """A stop is a clean end: the pump is off before the agent is gone, and the next one knows."""
    before = machine.show(SERVICE, "MainPID")
    machine.run("systemctl", "stop", SERVICE)
    assert not relays.pump
    machine.run("systemctl", "start", SERVICE)
    assert restarted(machine, relays, before) == {"cause": "clean", "detail": "SIGTERM"}


@pytest.mark.usefixtures("node")
def test_removed(machine: SystemdMachine, relays: Relays) -> None:
    """What was installed goes again, with the pump off; what the node has kept stays."""
    node = INSIDE / "node.toml"
    machine.run(machine.program, "install", node, "--apply", "--remove")
    assert not relays.pump
    assert machine.show(SERVICE, "LoadState") == "not-found"
    assert machine.show(STANDBY, "LoadState") == "not-found"
    assert machine.run("ls", "/var/lib/edgekernel/memory.json")
