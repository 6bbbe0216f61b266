"""The broker and the processes of nodes: started here, and ended here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.load.nodes import HOST
from edgekernel.mqtt.broker import find_mosquitto
from edgekernel.mqtt.fleet import Fleet, NoAnswerError
from edgekernel.mqtt.settings import Settings

ROOT = Path(__file__).parents[2]
END_S = 60.0

_CONF = """\
listener {port} {host}
allow_anonymous true
set_tcp_nodelay true
persistence false
log_type error
"""


class Broker:
    """A mosquitto on the loopback that takes any number of clients."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self._conf, self._said = folder / "mosquitto.conf", folder / "mosquitto.log"
        text = _CONF.format(port=port, host=HOST)
        self._conf.write_text(text + ("user root\n" if os.geteuid() == 0 else ""))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        binary = find_mosquitto()
        if binary is None:
            raise SystemExit("load: mosquitto is missing; tools/ensure-mosquitto installs it")
        with self._said.open("ab") as said:
            self._process = subprocess.Popen([binary, "-c", self._conf], stderr=said)
        end = time.monotonic() + END_S
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with Fleet(Settings(HOST, self.port)):
                    return
            except NoAnswerError:
                time.sleep(0.02)
        self.stop()
        raise SystemExit(f"load: mosquitto did not start:\n{self._said.read_text()}")

    def stop(self) -> None:
        """End it. Ending twice is harmless."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(END_S)

    @property
    def pid(self) -> int:
        """The number of its process."""
        assert self._process is not None
        return self._process.pid


@dataclass
class Report:
    """How the nodes of all processes are."""

    nodes: int = 0
    connected: int = 0
    connects: list[float] = field(default_factory=list)
    sent: int = 0
    memory_kb: int = 0
    empty_kb: int = 0
    """Of the processes before the first node."""
    cpu_s: float = 0.0
    threads: int = 0
    files: int = 0

    def add(self, other: dict[str, Any]) -> None:
        """Take in what one process says."""
        for name, value in other.items():
            setattr(self, name, getattr(self, name) + value)


class Workers:
    """Processes that hold the nodes."""

    def __init__(self, port: int, nodes: int, per_process: int, interval_s: float) -> None:
        self.nodes = nodes
        self._processes = [
            _start(port, first, min(per_process, nodes - first), interval_s)
            for first in range(0, nodes, per_process)
        ]

    @property
    def count(self) -> int:
        """How many processes there are."""
        return len(self._processes)

    def report(self) -> Report:
        """Ask all of them."""
        found = Report()
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write("report\n")
            process.stdin.flush()
        for process in self._processes:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise SystemExit("load: a process of nodes has ended; see what it said above")
            found.add(json.loads(line))
        return found

    def until_connected(self, limit_s: float, show: Callable[[int], object]) -> list[float]:
        """Wait until all are connected; return when each link came up, in order."""
        came: list[float] = []
        end, connected = time.monotonic() + limit_s, 0
        while time.monotonic() < end:
            report = self.report()
            came, connected = came + report.connects, report.connected
            show(connected)
            if connected == self.nodes:
                return sorted(came)
            time.sleep(0.25)
        found = f"{connected} of {self.nodes} nodes"
        raise SystemExit(f"load: only {found} were connected after {limit_s:g} s")

    def close(self) -> None:
        """End them in good order."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes:
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _start(*arguments: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load.nodes", *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
