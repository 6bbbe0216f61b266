"""A service at 100 Hz beside twenty at 10 Hz: does it keep time?

Every service has its thread. Noted is when each tick begins. A tick is late by how long after it
was due it begins: at edgekernel that is one interval after the one before was due, at bussdcc one
interval after the one before has ended. When the machine stalls for longer than an interval,
edgekernel skips ticks and says how many; drift is what is lost beyond that.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from importlib import import_module
from itertools import pairwise
from typing import Any

from benchmarks.report import ROOT, Goal, options, publish, table

SECONDS, QUICK_SECONDS = 60.0, 1.0
INTERVAL_S, OTHERS, OTHER_INTERVAL_S = 0.01, 20, 0.1
ENGINES = ("edgekernel", "bussdcc")


def _services(base: Any, begins: list[int]) -> list[Any]:
    """Return the service that notes when its ticks begin, and the others."""

    class Noting(base):  # type: ignore[misc]
        name = "noting"
        interval = INTERVAL_S

        def tick(self, ctx: Any) -> None:
            begins.append(time.monotonic_ns())

    class Other(base):  # type: ignore[misc]
        interval = OTHER_INTERVAL_S

        def __init__(self, number: int) -> None:
            self.name = f"other{number}"
            self.ticks = 0

        def tick(self, ctx: Any) -> None:
            self.ticks += 1

    return [Noting(), *(Other(number) for number in range(OTHERS))]


def run(engine: str, seconds: float) -> tuple[list[int], int]:
    """Return when the ticks began, in monotonic nanoseconds, and how many were reported missed."""
    begins: list[int] = []
    library = import_module(engine)
    runtime = library.Runtime()
    register = runtime.register if engine == "edgekernel" else runtime.services.register
    for service in _services(library.Service, begins):
        register(service)
    with runtime:
        threading.Event().wait(seconds + 2 * INTERVAL_S)
        ours = engine == "edgekernel"
        skipped = runtime.status()["services"]["noting"]["missed"] if ours else 0
    return begins, skipped


def figures(engine: str, begins: list[int], skipped: int, seconds: float) -> dict[str, float]:
    """Return what became of the ticks in the time after the first one."""
    interval = int(INTERVAL_S * 1e9)
    inside = [t - begins[0] for t in begins if t - begins[0] < (seconds - INTERVAL_S / 2) * 1e9]
    if engine == "edgekernel":
        early = interval // 10  # the first tick may be a little later than the others
        late = [(t + early) % interval - early for t in inside]
    else:
        late = [b - a - interval for a, b in pairwise(inside)]
    behind = [t - number * interval for number, t in enumerate(inside)][-100:]
    cuts = statistics.quantiles(late, n=1000)
    return {
        "ticks": len(inside),
        "lost": round(seconds / INTERVAL_S) - len(inside),
        "skipped": skipped,
        "drift_ms": (statistics.median(behind) - skipped * interval) / 1e6,
        "p50_us": cuts[499] / 1e3,
        "p99_us": cuts[989] / 1e3,
    }


def report(measured: dict[str, dict[str, float]], seconds: float) -> str:
    """Return the table and the goal as Markdown."""
    header = [
        f"100 Hz for {seconds:g} s",
        "ticks",
        "lost",
        "skipped",
        "drift",
        "late, p50",
        "late, p99",
    ]
    rows = [
        [
            name, *(str(each[count]) for count in ("ticks", "lost", "skipped")),
            f"{each['drift_ms']:.1f} ms", f"{each['p50_us']:.0f} us", f"{each['p99_us']:.0f} us",
        ]
        for name, each in measured.items()
    ]  # fmt: skip
    drift = abs(measured["edgekernel"]["drift_ms"]) / 1000 / INTERVAL_S
    goal = Goal("edgekernel: drift", float(round(drift)), 0, "ticks")
    return "\n".join([table(header, rows), "", str(goal)])


def main() -> None:
    """Measure one after the other, each in a process of its own, and print."""
    parser = options(__doc__ or "")
    parser.add_argument("--seconds", type=float, help=f"default {SECONDS:g}")
    parser.add_argument("--measure", choices=ENGINES, help="measure one and print JSON")
    arguments = parser.parse_args()
    seconds = arguments.seconds or (QUICK_SECONDS if arguments.quick else SECONDS)
    if arguments.measure:
        begins, skipped = run(arguments.measure, seconds)
        json.dump(figures(arguments.measure, begins, skipped, seconds), sys.stdout)
        return
    measured = {}
    for name in ENGINES:
        command = [sys.executable, "-m", "benchmarks.bench_services", "--measure", name]
        done = subprocess.run(
            [*command, "--seconds", str(seconds)], cwd=ROOT, stdout=subprocess.PIPE, check=False
        )
        if done.returncode:
            sys.exit(f"bench_services: {name} failed with exit status {done.returncode}")
        measured[name] = json.loads(done.stdout)
    publish("bench_services", report(measured, seconds), measured, arguments)


if __name__ == "__main__":
    main()
