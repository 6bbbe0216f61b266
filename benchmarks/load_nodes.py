"""A fleet on one mosquitto: what each node costs, and how it is to work with that many.

Every node is a whole one on a simulated board: runtime, devices, a service, and the bridge with a
link of its own over paho-mqtt. It changes a reading at an interval, which is a retained state at
QoS 1, delivered to one consumer. Nothing but the loopback is used.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from benchmarks.load.measuring import Figures, Load, Show, now
from benchmarks.load.nodes import HOST
from benchmarks.load.processes import Broker, Workers
from benchmarks.load.usage import MOST_IN_A_PROCESS, check, memory_kb
from benchmarks.report import table
from edgekernel.mqtt import Fleet, Settings

_ABOUT = "Put many nodes on one mosquitto, and measure what they cost."
PER_PROCESS = min(200, MOST_IN_A_PROCESS)


def options() -> argparse.ArgumentParser:
    """Return the parser of what can be asked for."""
    parser = argparse.ArgumentParser(prog="load_nodes", description=_ABOUT)
    parser.add_argument("--nodes", type=int, default=1000, help="how many (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=30, help="how long they publish (%(default)s)"
    )
    parser.add_argument(
        "--interval", type=float, default=1.0, help="seconds between states (%(default)s)"
    )
    parser.add_argument(
        "--outage", type=float, default=10, help="seconds without the broker (%(default)s)"
    )
    parser.add_argument(
        "--per-process", type=int, default=PER_PROCESS, help="nodes in a process (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser


def measure(wanted: argparse.Namespace, show: Show) -> Figures:
    """Run the load; return its figures."""
    with tempfile.TemporaryDirectory(prefix="edgekernel-load-") as folder:
        broker = Broker(Path(folder), free_port())
        try:
            broker.start()
            empty_kb, begun_s = memory_kb(broker.pid), now()
            workers = Workers(broker.port, wanted.nodes, wanted.per_process, wanted.interval)
            with closing(workers):
                load = Load(broker, workers, show, wanted.seconds, wanted.outage)
                figures = {"nodes": wanted.nodes, "processes": workers.count}
                figures |= load.connect(empty_kb, begun_s)
                with Fleet(Settings(HOST, broker.port), timeout_s=30) as fleet:
                    figures |= load.traffic(fleet) | load.lists(fleet)
                return figures | load.restart()
        finally:
            broker.stop()


@contextmanager
def showing() -> Iterator[Show]:
    """Show on the standard error how far it is."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def show(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = progress.add_task(phase, total=total)
                if not console.is_terminal:
                    console.print(f"load: {phase}", highlight=False)
            progress.update(tasks[phase], completed=done)

        yield show


ROWS = (
    ("nodes, in processes", "{nodes} in {processes}"),
    ("boot and connect all", "{connect[last_s]:.1f} s"),
    ("memory of the broker, per node", "{memory[broker_kb_per_node]:.1f} KB"),
    ("memory of a node", "{memory[node_kb]:.0f} KB"),
    ("memory of a process without nodes", "{memory[process_kb]:.0f} KB"),
    ("threads, open files of a node", "{memory[node_threads]:.1f}, {memory[node_files]:.1f}"),
    (
        "states published, delivered",
        "{traffic[published_per_s]:.0f}, {traffic[delivered_per_s]:.0f} /s",
    ),
    ("CPU of the broker", "{traffic[broker_cpu_percent]:.1f} % of a core"),
    ("CPU of the broker, per state", "{traffic[broker_cpu_us_per_message]:.0f} µs"),
    ("CPU of a node", "{traffic[node_cpu_percent]:.3f} % of a core"),
    ("a call, p50 / p99", "{call[p50_ms]:.1f} / {call[p99_ms]:.1f} ms"),
    ("a checked call, p50 / p99", "{checked_call[p50_ms]:.1f} / {checked_call[p99_ms]:.1f} ms"),
    ("a checked call on each, 16 at once", "{lists[each_s]:.1f} s"),
    ("Fleet.nodes(), with where", "{lists[nodes_s]:.2f}, {lists[where_s]:.2f} s"),
    ("ctl nodes, with --where", "{lists[ctl_nodes_s]:.2f}, {lists[ctl_where_s]:.2f} s"),
    ("the broker is away", "{restart[outage_s]:g} s"),
    ("then half, all are back after", "{restart[half_s]:.1f}, {restart[last_s]:.1f} s"),
)
"""What is printed of the figures."""


def text(figures: Figures) -> str:
    """Return the figures as a table, and how the nodes came back."""
    rows = [(name, form.format_map(figures)) for name, form in ROWS]
    per_s = " ".join(map(str, figures["restart"]["connects_per_s"]))
    return f"{table(('', ''), rows)}\n\nConnects in each second after the broker is back: {per_s}"


def free_port() -> int:
    """Return a loopback port that nobody uses."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def main(arguments: list[str]) -> None:
    """Check that it fits, run it, print what came of it."""
    wanted = options().parse_args(arguments)
    check(wanted.nodes, wanted.per_process)
    with showing() as show:
        figures = measure(wanted, show)
    print(json.dumps(figures, indent=1) if wanted.json else text(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
