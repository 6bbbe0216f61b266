"""Simulated time: how many ticks pass in a second, with everything a service has around it?

Ten services tick at 1 Hz, at 10 Hz, or at ten different periods. A tick counts, or it also emits
a message that one process handles. edgekernel's services are whole ones: supervised, watched, with
figures of each tick. The others wait in a loop and call the same function: processes of simpy,
tasks on trio's MockClock, and as the floor a heap of times and calls.
"""

from __future__ import annotations

import heapq
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from itertools import count
from math import prod
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT, Goal, least_and_median, options, publish, table

ENGINES = ("floor", "edgekernel", "simpy", "trio")
PERIODS = {
    "1 Hz": [1.0] * 10,
    "10 Hz": [0.1] * 10,
    "mixed": [0.05, 0.1, 0.25, 0.5, 0.7, 1.0, 1.5, 2.0, 5.0, 10.0],
}
WORKS = ("count", "emit")
TICKS, QUICK_TICKS = 200_000, 5_000
ROUNDS, QUICK_ROUNDS = 7, 1
GREENHOUSE = ROOT / "examples/greenhouse/node.toml"

Work = Callable[[], object]


class _Ticks:
    """What a tick does, and how often it was done."""

    def __init__(self, work: str) -> None:
        from edgekernel import Message, Process, Runtime, on
        from edgekernel.sim import SimClock

        class Ticked(Message):
            number: int

        class Counting(Process):
            name = "counting"
            handled = 0

            @on(Ticked)
            def handle(self, event: Any) -> None:
                self.handled += 1

        self.done = 0
        self.clock = SimClock()
        self.runtime = Runtime(clock=self.clock)
        self.runtime.register(Counting())
        self._message = Ticked
        self.work: Work = self._emit if work == "emit" else self._count

    def _count(self) -> None:
        self.done += 1

    def _emit(self) -> None:
        self.done += 1
        self.runtime.emit(self._message(self.done))


def _edgekernel(ticks: _Ticks, periods: list[float], seconds: float) -> Callable[[], object]:
    from edgekernel import Service

    class Ticking(Service):
        def __init__(self, number: int, period_s: float) -> None:
            self.name = f"ticking-{number}"
            self.interval = period_s

        def tick(self, ctx: Any) -> None:
            ticks.work()

    for number, period_s in enumerate(periods):
        ticks.runtime.hot_add(Ticking(number, period_s))
    return lambda: ticks.clock.advance(seconds)


def _simpy(ticks: _Ticks, periods: list[float], seconds: float) -> Callable[[], object]:
    environment = import_module("simpy").Environment()

    def process(period_s: float) -> Any:
        while True:
            ticks.work()
            yield environment.timeout(period_s)

    for period_s in periods:
        environment.process(process(period_s))
    return lambda: environment.run(until=seconds)


def _trio(ticks: _Ticks, periods: list[float], seconds: float) -> Callable[[], object]:
    trio, testing = import_module("trio"), import_module("trio.testing")

    async def process(period_s: float) -> None:
        deadline = trio.current_time()
        while True:
            ticks.work()
            deadline += period_s
            await trio.sleep_until(deadline)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for period_s in periods:
                nursery.start_soon(process, period_s)
            await trio.sleep(seconds)
            nursery.cancel_scope.cancel()

    return lambda: trio.run(main, clock=testing.MockClock(autojump_threshold=0))


def _floor(ticks: _Ticks, periods: list[float], seconds: float) -> Callable[[], object]:
    numbers = count()
    due = [(0, next(numbers), round(period_s * 1e9)) for period_s in periods]

    def run() -> None:
        end = round(seconds * 1e9)
        while due[0][0] < end:
            now, _, period = due[0]
            ticks.work()
            heapq.heapreplace(due, (now + period, next(numbers), period))

    return run


RUNS = {"floor": _floor, "edgekernel": _edgekernel, "simpy": _simpy, "trio": _trio}


def measure(engine: str, number: int) -> dict[str, float]:
    """Return the ticks per second of processor time, by periods and work."""
    found = {}
    for name, periods in PERIODS.items():
        seconds = number / sum(1 / period_s for period_s in periods)
        for work in WORKS:
            ticks = _Ticks(work)
            with ticks.clock, ticks.runtime:
                run = RUNS[engine](ticks, periods, seconds)
                ticks.done = 0
                begun = time.process_time()
                run()
                passed = time.process_time() - begun
            if abs(ticks.done - number) > len(periods) + number // 100:
                raise SystemExit(f"{engine}, {name}, {work}: {ticks.done} ticks, not {number}")
            found[f"{name}, {work}"] = ticks.done / passed
    return found


def measure_greenhouse(hours: float) -> float:
    """Return the seconds of processor time that a span of the greenhouse takes."""
    from edgekernel import Runtime
    from edgekernel.node import make_plan
    from edgekernel.node.simulate import assemble_simulated
    from edgekernel.sim import SimClock

    with SimClock() as clock:
        runtime, _ = assemble_simulated(make_plan(Path(GREENHOUSE)), clock, Runtime)
        with runtime:
            begun = time.process_time()
            clock.advance(hours * 3600)
            return time.process_time() - begun


def report(found: dict[str, dict[str, list[float]]], greenhouse_s: list[float]) -> str:
    """Return the table and the goals as Markdown; rates are the best of the rounds."""
    cases = list(found["floor"])

    def ratio(case: str, other: str) -> float:
        return max(found["edgekernel"][case]) / max(found[other][case])

    rows = [
        [
            case,
            *(f"{max(found[e][case]) / 1e3:.0f} / {statistics.median(found[e][case]) / 1e3:.0f}"
              for e in ENGINES),
            *(f"{ratio(case, other):.2f}" for other in ("floor", "simpy", "trio")),
        ]
        for case in cases
    ]  # fmt: skip
    header = ["thousand ticks/s, best / median", *ENGINES]
    header += [f"edgekernel / {other}" for other in ("floor", "simpy", "trio")]

    def mean(other: str, work: str) -> float:
        ratios = [ratio(case, other) for case in cases if case.endswith(work)]
        return float(prod(ratios) ** (1 / len(ratios)))

    goals = [
        Goal("edgekernel / simpy, ticks that emit", mean("simpy", "emit"), 0.6, at_least=True),
        Goal("edgekernel / simpy, ticks that count", mean("simpy", "count"), 0.6, at_least=True),
        Goal("edgekernel / trio, ticks that emit", mean("trio", "emit"), 10, at_least=True),
        Goal("edgekernel / trio, ticks that count", mean("trio", "count"), 10, at_least=True),
        Goal("a day of the greenhouse", min(greenhouse_s), 3, "s"),
    ]
    day = f"A day of the greenhouse, least / median: {least_and_median(greenhouse_s)} s."
    return "\n".join([table(header, rows), "", day, "", *map(str, goals)])


def main() -> None:
    """Measure all engines in turn, each round in fresh processes, and print."""
    parser = options(__doc__ or "")
    parser.add_argument("--measure", choices=(*ENGINES, "greenhouse"), help="one, as JSON")
    arguments = parser.parse_args()
    number = QUICK_TICKS if arguments.quick else TICKS
    if arguments.measure == "greenhouse":
        json.dump(measure_greenhouse(1 if arguments.quick else 24), sys.stdout)
        return
    if arguments.measure:
        json.dump(measure(arguments.measure, number), sys.stdout)
        return

    def one(what: str) -> Any:
        command = [sys.executable, "-m", "benchmarks.bench_simclock", "--measure", what]
        command += ["--quick"] if arguments.quick else []
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
        if done.returncode:
            sys.exit(f"bench_simclock: {what} failed with exit status {done.returncode}")
        return json.loads(done.stdout)

    found: dict[str, dict[str, list[float]]] = {engine: {} for engine in ENGINES}
    greenhouse_s: list[float] = []
    for _ in range(QUICK_ROUNDS if arguments.quick else ROUNDS):
        for engine in ENGINES:
            for case, rate in one(engine).items():
                found[engine].setdefault(case, []).append(rate)
        greenhouse_s.append(one("greenhouse"))
    publish(
        "bench_simclock",
        report(found, greenhouse_s),
        {"ticks_per_s": found, "greenhouse_s": greenhouse_s},
        arguments,
    )


if __name__ == "__main__":
    main()
