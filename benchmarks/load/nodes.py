"""Nodes of one process, each a whole one on a simulated board, with a link of its own.

    python -m benchmarks.load.nodes PORT FIRST COUNT INTERVAL

They run until the standard input ends. For each line on it there is a line of JSON on the standard
output: how they are, and when their links came up since the last one.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.load.usage import cpu_s, memory_kb
from edgekernel import Context, Device, Event, Process, Service, SystemClock, command, reading
from edgekernel.core.variants import SignalRuntime
from edgekernel.mqtt import About, MqttInterface, Settings
from edgekernel.mqtt.messages import MqttConnected
from edgekernel.node.plan import make_plan
from edgekernel.node.simulate import assemble_simulated

HOST = "127.0.0.1"
SWITCH_INTERVAL_S = 0.02
"""How long a busy thread keeps the others from running. Much longer than in an agent, which has ten
threads: of the thousand here all that wait for their turn would wake that often to ask for it."""

NODE = """
[node]
name = "{name}"
board = "sim"
labels = {{ zone = "{zone}" }}

[devices.fan]
driver = "relay"
pin = "GPIO17"

[mqtt]
host = "{host}"
port = {port}
"""
ZONES = ("north", "east", "south", "west")


class Meter(Device):
    """A device whose reading always changes."""

    level = reading(float)


class Pulse(Service):
    """Changes it at an interval: each is a retained state at QoS 1."""

    name = "pulse"

    def __init__(self, meter: Meter, interval_s: float) -> None:
        self.interval = interval_s
        self.sent = 0
        self._meter = meter

    def tick(self, ctx: Context) -> None:
        self.sent += 1
        self._meter.level.update(float(self.sent))


class Desk(Process):
    """What a client calls."""

    name = "desk"

    @command
    def ping(self) -> str:
        """Answer."""
        return "pong"


class Nodes:
    """The nodes of this process."""

    def __init__(self, port: int, interval_s: float) -> None:
        self._port = port
        self._interval_s = interval_s
        self._runtimes: list[SignalRuntime] = []
        self._links: list[MqttInterface] = []
        self._pulses: list[Pulse] = []
        self._lock = threading.Lock()
        self._connects: list[float] = []
        self._empty_kb = memory_kb(os.getpid())

    def boot(self, number: int, folder: Path) -> None:
        """Boot another one."""
        file = folder / f"{number}.toml"
        zone = ZONES[number % len(ZONES)]
        file.write_text(NODE.format(name=name_of(number), zone=zone, host=HOST, port=self._port))
        plan = make_plan(file)
        runtime = assemble_simulated(plan, SystemClock(), SignalRuntime)[0]
        meter = Meter("meter")
        pulse = Pulse(meter, self._interval_s)
        link = MqttInterface(Settings.of(plan), about=About.of(plan))
        for part in (meter, pulse, Desk(), link):
            runtime.register(part)
        runtime.subscribe(MqttConnected, self._connected)
        runtime.boot()
        self._runtimes.append(runtime)
        self._links.append(link)
        self._pulses.append(pulse)

    def report(self) -> dict[str, object]:
        """Return how they are. Times are of this machine's monotonic clock."""
        with self._lock:
            connects, self._connects = self._connects, []
        return {
            "nodes": len(self._links),
            "connected": sum(link.connected for link in self._links),
            "connects": connects,
            "sent": sum(pulse.sent for pulse in self._pulses),
            "memory_kb": memory_kb(os.getpid()),
            "empty_kb": self._empty_kb,
            "cpu_s": cpu_s(os.getpid()),
            "threads": threading.active_count(),
            "files": len(os.listdir("/proc/self/fd")),
        }

    def shutdown(self) -> None:
        """End all of them, many at a time: each says goodbye to the broker."""
        threads = [
            threading.Thread(target=lambda each=each: each.shutdown("the load is over"))
            for each in self._runtimes
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _connected(self, event: Event) -> None:
        with self._lock:
            self._connects.append(time.monotonic())


def name_of(number: int) -> str:
    """Return the name of a node."""
    return f"load-{number:05d}"


@contextmanager
def booting(nodes: Nodes, first: int, count: int) -> Iterator[None]:
    """Boot nodes beside what else is done."""
    over = threading.Event()

    def boot() -> None:
        with tempfile.TemporaryDirectory(prefix="edgekernel-load-") as folder:
            for number in range(first, first + count):
                if over.is_set():
                    return
                nodes.boot(number, Path(folder))

    thread = threading.Thread(target=boot, name="booting")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def main(port: str, first: str, count: str, interval_s: str) -> None:
    """Run nodes until the standard input ends."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    nodes = Nodes(int(port), float(interval_s))
    with booting(nodes, int(first), int(count)):
        for _ in sys.stdin:
            print(json.dumps(nodes.report()), flush=True)
    nodes.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
