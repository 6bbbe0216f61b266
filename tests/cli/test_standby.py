"""`edgekernel standby` beside an agent: real processes, and a relay board on a serial line."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekernel.cli import main
from edgekernel.cli.standby import has_outputs
from edgekernel.node import make_plan
from tests.cli.conftest import LIMIT_S, Agent, command
from tests.relays import Relays

NODE = """
[node]
name = "pump-house"
board = "raspberrypi/4b"
app = "pumping"

[devices.relays]
driver = "modbus_rtu"
parity = "none"
port = "{port}"
outputs.pump = {{ address = 3, kind = "coil", safe = false }}
"""
FAN = 'outputs.fan = { address = 4, kind = "coil", safe = false }\n'
APP = '''
from edgekernel import Service


class Pumping(Service):
    """Keeps all on."""

    name = "pumping"
    interval = 0.02

    def tick(self, ctx):
        for device in ctx.devices.values():
            for output in device.outputs.values():
                if output.last is not True:
                    output.set(True)


def setup(runtime):
    runtime.register_service(Pumping())
'''
Start = Callable[..., Agent]


@pytest.fixture
def relays() -> Iterator[Relays]:
    """Give the relay board."""
    made = Relays()
    yield made
    made.close()


@pytest.fixture
def node(relays: Relays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a node file, for which a standby is named."""
    monkeypatch.setenv("EDGEKERNEL_STANDBY", str(tmp_path / "standby"))
    with socket.socket(socket.AF_UNIX) as killed:  # as one leaves it that was killed
        killed.bind(str(tmp_path / "standby"))
    (tmp_path / "pumping.py").write_text(APP)
    node = tmp_path / "node.toml"
    node.write_text(NODE.format(port=relays.port))
    return node


@pytest.fixture
def pair(node: Path, start: Start) -> tuple[Agent, Agent]:
    """Give an agent and its standby, which is ready."""
    standby, agent = start("standby", node), start("run", node)
    agent.until("standby.ready")
    return agent, standby


def wait_until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def test_killed(pair: tuple[Agent, Agent], node: Path, relays: Relays) -> None:
    """P8: `kill -9` of the agent leaves the pump off before `safe-state` is even called; that does
    no harm then."""
    agent, standby = pair
    wait_until(lambda: relays.pump)
    agent.end(signal.SIGKILL)
    wait_until(lambda: not relays.pump)
    out, err = standby.process.communicate(timeout=LIMIT_S)
    assert (standby.process.returncode, err) == (0, "")
    head, *rest = out.splitlines()
    assert head.startswith("the agent has ended; within ")
    assert rest == ["  relays.pump: off"]
    line = command("safe-state", node)
    done = subprocess.run(line, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "relays.pump: off\n", "")
    assert [on for _, on in relays.changes] == [True, False]


def test_stopped(pair: tuple[Agent, Agent], relays: Relays) -> None:
    """After a clean end the standby touches nothing."""
    agent, standby = pair
    wait_until(lambda: relays.pump)
    code, out, _ = agent.end(signal.SIGTERM)
    assert code == 0
    assert "outputs are safe" in out
    requests = relays.requests
    out, err = standby.process.communicate(timeout=LIMIT_S)
    assert (standby.process.returncode, err) == (0, "")
    assert out == "the agent has ended, and nothing was left to do\n"
    assert relays.requests == requests


def test_another_configuration(pair: tuple[Agent, Agent], node: Path, relays: Relays) -> None:
    """An output that a new configuration has brought is off after a kill, as those before."""
    agent, standby = pair
    with node.open("a") as file:
        file.write(FAN)
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: relays.is_on(3) and relays.is_on(4))
    agent.end(signal.SIGKILL)
    wait_until(lambda: not relays.is_on(3) and not relays.is_on(4))
    assert standby.process.wait(LIMIT_S) == 0


def test_the_first_output(node: Path, start: Start, relays: Relays) -> None:
    """A node that begins without a device has a standby for the first one that it gets."""
    text = node.read_text()
    node.write_text(text.partition("[devices")[0])
    standby, agent = start("standby", node), start("run", node)
    agent.until("standby.ready")
    node.write_text(text)
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: relays.pump)
    agent.end(signal.SIGKILL)
    wait_until(lambda: not relays.pump)
    assert standby.process.wait(LIMIT_S) == 0


ALL_LOADED = """
import sys
from pathlib import Path
from edgekernel.cli.standby import make_ready
from edgekernel.core.clock import SystemClock
from edgekernel.node.difference import plain
from edgekernel.node.plan import make_plan
from edgekernel.node.practice import practise

node, clock = Path(sys.argv[1]), SystemClock()
practise(clock)
state = make_ready(node, clock, [plain(make_plan(node).document)])
before = set(sys.modules)
state.drive(1.0)
print(sorted(set(sys.modules) - before))
"""
ELSEWHERE = """
[devices.light]
driver = "relay"
pin = "GPIO17"

[devices.dimmer]
driver = "pca9685"
bus = "i2c1"
"""


def test_all_is_loaded(node: Path) -> None:
    """Once all is ready, no module is loaded while the outputs are driven: the disk may be slow, or
    gone. A chip or a bus that is not there makes no difference."""
    with node.open("a") as file:
        file.write(ELSEWHERE)
    line = [sys.executable, "-c", ALL_LOADED, str(node)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


def test_a_second_one(node: Path, tmp_path: Path) -> None:
    """A standby does not take the place of another one."""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "other"))
        other.listen()
        args = ["standby", str(node), "--socket", str(tmp_path / "other")]
        done = CliRunner().invoke(main, args)
    assert done.exit_code == 1
    assert f"{tmp_path}/other: another standby listens there" in done.stderr


@pytest.mark.parametrize(
    ("device", "found"),
    [
        ('driver = "relay"\npin = "GPIO17"\n', True),
        ('driver = "bme280"\nbus = "i2c1"\n', False),
        ('driver = "modbus_rtu"\nport = "/dev/x"\nreadings.t = { address = 1 }\n', False),
        ('driver = "servo"\npin = "GPIO18"\npulse_low = 0.002\npulse_high = 0.002\n', True),
    ],
    ids=["output", "sensor", "depends-on-settings", "refused"],
)
def test_who_needs_one(tmp_path: Path, device: str, found: bool) -> None:
    """A node needs a standby if it has outputs, or may have: where a driver refuses its settings
    nobody knows."""
    path = tmp_path / "node.toml"
    path.write_text(f'[node]\nname = "n"\nboard = "raspberrypi/4b"\n[devices.it]\n{device}')
    assert has_outputs(make_plan(path)) is found


@pytest.mark.parametrize("remote", [True, False])
def test_outputs_from_afar(tmp_path: Path, remote: bool) -> None:
    """A node that takes a configuration from afar may get outputs by it, and needs a standby."""
    path = tmp_path / "node.toml"
    text = '[node]\nname = "n"\nboard = "raspberrypi/4b"\ndata = "d"\n[mqtt]\nhost = "b"\n'
    path.write_text(f"{text}remote_config = {str(remote).lower()}\n")
    assert has_outputs(make_plan(path)) is remote
