"""How long an output stays on after `kill -9` of its agent, with a standby and without one.

Everything is real: agent, standby and `safe-state` are processes, and the output is a relay board
that speaks Modbus at the far end of a serial line (a pseudo-terminal). The time is from the signal
to the command on the wire. `safe-state` is started as soon as the agent is gone, as systemd does.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.report import ROOT
from tests.relays import Relays

_LIMIT_S = 60.0
_COMMAND = [sys.executable, "-c", "from edgekernel.cli import main; main()"]
_NODE = """
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
_APP = '''
from edgekernel import Service


class Pumping(Service):
    """Keeps the pump on."""

    name = "pumping"
    interval = 0.02

    def tick(self, ctx):
        pump = ctx.devices["relays"].outputs["pump"]
        if pump.last is not True:
            pump.set(True)


def setup(runtime):
    runtime.register_service(Pumping())
'''


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description="Measure the time to safe after kill -9.")
    parser.add_argument("--runs", type=int, default=20, help="how often, each way")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder, closing(Relays()) as relays:
        node = Path(folder) / "node.toml"
        node.write_text(_NODE.format(port=relays.port))
        node.with_name("pumping.py").write_text(_APP)
        for title, once in (("with a standby", with_standby), ("safe-state alone", alone)):
            times = sorted(1000 * once(node, relays) for _ in range(runs))
            least, middle, most = times[0], statistics.median(times), times[-1]
            print(f"{title}: min {least:.1f} ms, p50 {middle:.1f} ms, max {most:.1f} ms, of {runs}")


def with_standby(node: Path, relays: Relays) -> float:
    """Kill an agent that has a standby; return after how many seconds the pump was off."""
    place = node.with_name("standby")
    with started("standby", node, place=place) as standby:
        with started("run", node, place=place) as agent:
            read_until(agent, "standby.ready")
            wait_until(lambda: relays.pump)
            off_after_s = kill(agent, relays)
        standby.communicate(timeout=_LIMIT_S)
    return off_after_s()


def alone(node: Path, relays: Relays) -> float:
    """Kill an agent after which only `safe-state` acts; return after how long the pump was off."""
    with started("run", node) as agent:
        wait_until(lambda: relays.pump)
        off_after_s = kill(agent, relays)
        with started("safe-state", node) as safe_state:
            safe_state.communicate(timeout=_LIMIT_S)
    return off_after_s()


def kill(agent: subprocess.Popen[str], relays: Relays) -> Callable[[], float]:
    """Kill an agent; return what tells after how many seconds the pump was off."""
    since = time.monotonic()
    agent.send_signal(signal.SIGKILL)
    agent.wait(_LIMIT_S)
    return lambda: next(when for when, on in relays.changes if not on and when >= since) - since


@contextmanager
def started(
    subcommand: str, node: Path, place: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a subcommand, and end it at the end."""
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/devices:{ROOT}/boards"}
    if place is not None:
        environ["EDGEKERNEL_STANDBY"] = str(place)
    process = subprocess.Popen(
        [*_COMMAND, subcommand, str(node)], env=environ, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=_LIMIT_S)


def read_until(agent: subprocess.Popen[str], text: str) -> None:
    """Read what an agent says, up to a text."""
    assert agent.stdout is not None
    if not any(text in line for line in agent.stdout):
        raise SystemExit(f"the agent has ended without {text!r}")


def wait_until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + _LIMIT_S
    while not holds():
        if time.monotonic() > end:
            raise SystemExit("waited in vain")
        time.sleep(0.002)


if __name__ == "__main__":
    main()
