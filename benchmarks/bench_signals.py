"""Signals beside other libraries, and beside the floor: the same functions called by hand.

The scenarios are those the signals community uses; see benchmarks/README.md. A pass whose sum is
wrong is an error; a goal that is not met is only reported.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from benchmarks.report import ROOT, Goal, least_and_median, options, publish, table
from benchmarks.signals.engine import MAKE
from benchmarks.signals.suite import UNABLE, scenarios

REPETITIONS = 5
OURS = "edgekernel"
GOALS = {"signalpy": 5, "reaktiv": 15, "observ": 3}
FLOOR_GOAL = 4.5


class Figures:
    """Times by engine and scenario, the fastest of each repetition, and who failed at what."""

    def __init__(self, engines: Sequence[str], names: Sequence[str], size: str) -> None:
        self.engines = engines
        self.names = names
        self.size = size
        self.times: dict[str, dict[str, list[float]]] = {
            engine: defaultdict(list) for engine in engines
        }
        self.faults = {engine: dict(UNABLE.get(engine, {})) for engine in engines}
        self._totals: dict[str, list[Any]] = {}

    def repeat(self) -> None:
        """Run every engine once, each in a process of its own."""
        for engine in self.engines:
            names = [name for name in self.names if name not in self.faults[engine]]
            for name, result in _measured(engine, self.size, names).items():
                if result["fault"]:
                    self.faults[engine][name] = result["fault"]
                elif not self._agrees(name, result["totals"]):
                    self.faults[engine][name] = "wrong sum: others get another one"
                else:
                    self.times[engine][name].append(result["fastest_ms"])

    def _agrees(self, name: str, totals: list[Any]) -> bool:
        reference = self._totals.setdefault(name, totals)  # the floor comes first
        common = min(len(reference), len(totals))
        return reference[:common] == totals[:common]

    def ratio(self, slower: str, faster: str, name: str) -> float | None:
        """Return how many times the one takes what the other takes."""
        one, other = self.times[slower].get(name), self.times[faster].get(name)
        return min(one) / min(other) if one and other else None

    def mean_ratio(self, slower: str, faster: str) -> tuple[float | None, int]:
        """Return the geometric mean over the scenarios that both can do, and their number."""
        if slower not in self.times or faster not in self.times:
            return None, 0
        ratios = [r for name in self.names if (r := self.ratio(slower, faster, name))]
        return (statistics.geometric_mean(ratios) if ratios else None), len(ratios)


def _measured(engine: str, size: str, names: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.signals.measure", engine, size, *names]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"bench_signals: {engine} failed with exit status {done.returncode}")
    return dict(json.loads(done.stdout))


def report(figures: Figures) -> str:
    """Return the tables, the goals and the faults as Markdown."""
    pairs = [(OURS, "floor"), *((peer, OURS) for peer in GOALS)]
    pairs = [pair for pair in pairs if set(pair) <= set(figures.engines)]
    header = ["ms, min / median", *figures.engines, *(f"{one} / {other}" for one, other in pairs)]
    rows = []
    for name in figures.names:
        times = [least_and_median(each.get(name, [])) for each in figures.times.values()]
        rows.append([name, *times, *(_factor(figures.ratio(*pair, name)) for pair in pairs)])
    means = [figures.mean_ratio(*pair) for pair in pairs]
    last = [f"{_factor(mean)} (n={number})" for mean, number in means]
    rows.append(["geometric mean", *("" for _ in figures.engines), *last])
    goals = [
        Goal(f"{peer} / {OURS}", figures.mean_ratio(peer, OURS)[0], limit, at_least=True)
        for peer, limit in GOALS.items()
    ]
    goals.append(Goal(f"{OURS} / floor", figures.mean_ratio(OURS, "floor")[0], FLOOR_GOAL))
    faults = [line for engine in figures.engines for line in _faults(figures, engine)]
    return "\n".join([table(header, rows), "", *map(str, goals), *faults])


def _faults(figures: Figures, engine: str) -> list[str]:
    """Say why a dash is a dash, one line for each reason."""
    by_reason = defaultdict(list)
    for name, reason in figures.faults[engine].items():
        if name in figures.names:
            by_reason[reason].append(name)
    return [f"- {engine}: {', '.join(each)}: {reason}" for reason, each in by_reason.items()]


def _factor(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def main() -> None:
    """Measure, interleaved, and print."""
    parser = options(__doc__ or "")
    parser.add_argument("--repetitions", type=int, default=0, help="how often each engine runs")
    parser.add_argument("--engines", default=",".join(["floor", *MAKE]), help="comma-separated")
    parser.add_argument("--only", default="", help="scenarios whose name contains this text")
    arguments = parser.parse_args()
    names = [s.name for s in scenarios() if arguments.only in s.name]
    size = "quick" if arguments.quick else "full"
    figures = Figures(arguments.engines.split(","), names, size)
    for _ in range(arguments.repetitions or (1 if arguments.quick else REPETITIONS)):
        figures.repeat()
    kept = {"times_ms": figures.times, "faults": figures.faults}
    publish("bench_signals", report(figures), kept, arguments)
    if any("wrong" in fault for each in figures.faults.values() for fault in each.values()):
        sys.exit("bench_signals: a sum was wrong, see above")


if __name__ == "__main__":
    main()
