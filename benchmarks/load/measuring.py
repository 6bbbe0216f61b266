"""The phases of a load: connect, traffic with requests, lists, and a broker that comes back."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.load.nodes import HOST, ZONES, name_of
from benchmarks.load.processes import Broker, Workers
from benchmarks.load.usage import cpu_s, memory_kb
from edgekernel.mqtt import Fleet

Figures = dict[str, Any]
Show = Callable[[str, int, int], object]
"""Shows how far a phase is: its name, how many of how many."""

CONNECT_S_PER_NODE = 0.5
SETTLE_S = 2.0
CALL_PAUSE_S = 0.02


@dataclass(frozen=True)
class Load:
    """Nodes on a broker, and how they are measured."""

    broker: Broker
    workers: Workers
    show: Show
    seconds: float
    outage_s: float

    @property
    def _limit_s(self) -> float:
        return 90.0 + CONNECT_S_PER_NODE * self.workers.nodes

    @property
    def _settle_s(self) -> float:
        return min(SETTLE_S, self.seconds / 2)

    def connect(self, empty_kb: int, begun_s: float) -> Figures:
        """Wait until all are connected; return what that took, and what it holds."""
        nodes = self.workers.nodes
        came = self.workers.until_connected(
            self._limit_s, lambda count: self.show("connecting", count, nodes)
        )
        time.sleep(self._settle_s)
        report = self.workers.report()
        return {
            "connect": {"last_s": came[-1] - begun_s, "cpu_s": report.cpu_s},
            "memory": {
                "broker_kb_per_node": (memory_kb(self.broker.pid) - empty_kb) / nodes,
                "node_kb": (report.memory_kb - report.empty_kb) / nodes,
                "process_kb": report.empty_kb / self.workers.count,
                "node_threads": report.threads / nodes,
                "node_files": report.files / nodes,
            },
        }

    def traffic(self, fleet: Fleet) -> Figures:
        """Let the nodes publish; then, while they go on, call one after the other."""
        with counting(self.broker.port) as arrived:
            time.sleep(self._settle_s)  # what is retained comes first
            before, broker_s, begun_s = self.workers.report(), cpu_s(self.broker.pid), now()
            first = arrived()
            self._wait()
            report, took_s = self.workers.report(), now() - begun_s
            busy_s, last = cpu_s(self.broker.pid) - broker_s, arrived()
        sent = report.sent - before.sent
        return {
            "traffic": {
                "seconds": took_s,
                "published_per_s": sent / took_s,
                "delivered_per_s": (last - first) / took_s,
                "broker_cpu_percent": 100 * busy_s / took_s,
                "broker_cpu_us_per_message": 1e6 * busy_s / sent,
                "node_cpu_percent": 100 * (report.cpu_s - before.cpu_s) / took_s / report.nodes,
            },
            "call": quantiles(self._calls(fleet, check=False)),
            "checked_call": quantiles(self._calls(fleet, check=True)),
        }

    def lists(self, fleet: Fleet) -> Figures:
        """List them, pick some, and ask all."""
        nodes = self.workers.nodes
        all_s, found = timed(fleet.nodes)
        where_s, picked = timed(lambda: fleet.nodes({"zone": ZONES[0]}))
        if len(found) != nodes or len(picked) != -(-nodes // len(ZONES)):
            raise SystemExit(f"load: {len(found)} nodes were listed, {len(picked)} picked")
        each_s, outcomes = timed(
            lambda: list(fleet.each([n.name for n in found], lambda n: fleet.call(n, "desk.ping")))
        )
        failed = [outcome for outcome in outcomes if not outcome.ok]
        if failed:
            raise SystemExit(f"load: {len(failed)} nodes did not answer: {failed[0].error}")
        return {
            "lists": {
                "nodes_s": all_s,
                "where_s": where_s,
                "each_s": each_s,
                "ctl_nodes_s": self._ctl("nodes"),
                "ctl_where_s": self._ctl("nodes", "--where", f"zone={ZONES[0]}", "--json"),
            }
        }

    def restart(self) -> Figures:
        """Let the broker be away for a while; return how all come back."""
        self.workers.report()
        self.broker.stop()
        time.sleep(self.outage_s)
        self.broker.start()
        begun_s, nodes = now(), self.workers.nodes
        came = self.workers.until_connected(
            self._limit_s, lambda count: self.show("coming back", count, nodes)
        )
        seconds = Counter(max(0, int(each - begun_s)) for each in came)
        return {
            "restart": {
                "outage_s": self.outage_s,
                "half_s": came[len(came) // 2] - begun_s,
                "last_s": came[-1] - begun_s,
                "connects_per_s": [seconds[second] for second in range(max(seconds) + 1)],
            }
        }

    def _wait(self) -> None:
        begun_s = now()
        while (gone_s := now() - begun_s) < self.seconds:
            self.show("publishing", int(gone_s), int(self.seconds))
            time.sleep(min(0.25, self.seconds - gone_s))

    def _calls(self, fleet: Fleet, *, check: bool) -> list[float]:
        chance, times = random.Random(1), []
        seconds, begun_s = self.seconds / 2, now()
        while (gone_s := now() - begun_s) < seconds:
            node = name_of(chance.randrange(self.workers.nodes))
            took_s, answer = timed(lambda n=node: fleet.call(n, "desk.ping", check=check))  # type: ignore[misc]
            assert answer == "pong"
            times.append(took_s)
            time.sleep(CALL_PAUSE_S)
            self.show("checked calls" if check else "calls", int(gone_s), int(seconds))
        return times

    def _ctl(self, *args: str) -> float:
        command = [sys.executable, "-c", "from edgekernel.cli import main; main()", "ctl"]
        options = ["--host", HOST, "--port", str(self.broker.port)]
        took_s, done = timed(
            lambda: subprocess.run(
                [*command, *options, *args], capture_output=True, text=True, check=True
            )
        )
        assert name_of(0) in done.stdout
        return took_s


@contextmanager
def counting(port: int) -> Iterator[Callable[[], int]]:
    """Give a consumer of all states: how many have come."""
    count = 0

    def arrived(*_: object) -> None:
        nonlocal count
        count += 1

    subscribed = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda c, *_: c.subscribe("edge/+/state/meter", 0) and None
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = arrived
    client.connect(HOST, port)
    client.loop_start()
    try:
        assert subscribed.wait(60)
        yield lambda: count
    finally:
        client.disconnect()
        client.loop_stop()
        client.on_connect = client.on_subscribe = client.on_message = None


def quantiles(times: list[float]) -> Figures:
    """Return the half and the worst of a hundred, in milliseconds."""
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {"count": len(times), "p50_ms": 1e3 * cuts[49], "p99_ms": 1e3 * cuts[98]}


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long something took, and what it has returned."""
    begun_s = now()
    result = action()
    return now() - begun_s, result


def now() -> float:
    """Return the time that never steps, the same in every process of a machine."""
    return time.monotonic()
