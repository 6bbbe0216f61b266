"""What an emit costs: edgekernel and bussdcc beside a bare loop over the interested handlers.

Every handler adds up what the message carries. Measured are the time per emit until everything is
handled, and how long one call of emit keeps its caller. A message that is lost or handled twice is
an error.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

from benchmarks.report import ROOT, Goal, options, publish, table

REPETITIONS, PASSES = 5, 2
SIZES = {"full": 200_000, "quick": 20_000}
"""How many handlers run in a pass; the number of emits follows from it."""
PATIENCE_S = 60


class Case(NamedTuple):
    """How many processes there are, of how many message types each wants one, who emits."""

    processes: int
    types: int
    threads: int

    def __str__(self) -> str:
        kinds = f", {self.types} types" if self.types > 1 else ""
        return f"{self.processes} process{'es' * (self.processes > 1)}{kinds}, {self.threads} thr"

    @property
    def interested(self) -> int:
        """How many handlers a message has."""
        return self.processes // self.types


CASES = [Case(n, t, k) for n, t in ((1, 1), (10, 1), (100, 1), (100, 50)) for k in (1, 2)]


@dataclass
class Bus:
    """Something to emit on: items to emit, how, and the sum of what all handlers got."""

    items: list[Any]
    emit: Callable[[Any], object]
    total: Callable[[], int]


class _Ready:
    """An event that need not be made."""

    __slots__ = ("payload",)

    def __init__(self, payload: object) -> None:
        self.payload = payload


def _ours(case: Case) -> tuple[list[Any], list[Any]]:
    """Return a message of each type, and the processes."""
    library = import_module("edgekernel")

    def kind(number: int) -> Any:
        class Note(library.Message):  # type: ignore[misc, name-defined]
            name = f"note.{number}"
            value: int

        return Note

    def interested_in(kind: Any) -> Any:
        class Adding(library.Process):  # type: ignore[misc, name-defined]
            def __init__(self, number: int) -> None:
                self.name = f"adding{number}"
                self.total = 0

            @library.on(kind)  # type: ignore[untyped-decorator]
            def add(self, event: Any) -> None:
                self.total += event.payload.value

        return Adding

    kinds = [kind(number) for number in range(case.types)]
    classes = [interested_in(kind) for kind in kinds]
    processes = [classes[number % case.types](number) for number in range(case.processes)]
    return [each(1) for each in kinds], processes


@contextmanager
def edgekernel(case: Case) -> Iterator[Bus]:
    """Processes with a typed handler each."""
    messages, processes = _ours(case)
    runtime = import_module("edgekernel").Runtime(name="bench")
    for process in processes:
        runtime.register(process)
    with runtime:
        yield Bus(messages, runtime.emit, lambda: sum(process.total for process in processes))


@contextmanager
def floor(case: Case) -> Iterator[Bus]:
    """The same handlers, called in a loop with an event that is there already."""
    messages, processes = _ours(case)
    handlers = [process.add for process in processes]

    def emit(item: tuple[_Ready, Sequence[Callable[[Any], None]]]) -> None:
        event, interested = item
        for handler in interested:
            handler(event)

    items = [(_Ready(message), handlers[n :: case.types]) for n, message in enumerate(messages)]
    yield Bus(items, emit, lambda: sum(process.total for process in processes))


@contextmanager
def bussdcc(case: Case) -> Iterator[Bus]:
    """Processes that look at each event, as bussdcc calls them all."""
    library = import_module("bussdcc")
    base = import_module("bussdcc.message").Message

    def kind(number: int) -> Any:
        @dataclass(slots=True, frozen=True)
        class Note(base):  # type: ignore[misc, valid-type]
            name: ClassVar[str] = f"note.{number}"
            value: int

        return Note

    class Adding(library.Process):  # type: ignore[misc, name-defined]
        def __init__(self, number: int) -> None:
            self.name = f"adding{number}"
            self.wanted = kinds[number % case.types]
            self.total = 0

        def handle_event(self, ctx: Any, evt: Any) -> None:
            if isinstance(evt.payload, self.wanted):
                self.total += evt.payload.value

    kinds = [kind(number) for number in range(case.types)]
    processes = [Adding(number) for number in range(case.processes)]
    runtime = library.Runtime()
    for process in processes:
        runtime.processes.register(process)
    with runtime:
        items = [each(1) for each in kinds]
        yield Bus(items, runtime.ctx.emit, lambda: sum(process.total for process in processes))


BUSES = {"floor": floor, "edgekernel": edgekernel, "bussdcc": bussdcc}


def _plain(bus: Bus, count: int, times: list[int]) -> None:
    emit, items, kinds = bus.emit, bus.items, len(bus.items)
    for number in range(count):
        emit(items[number % kinds])


def _timed(bus: Bus, count: int, times: list[int]) -> None:
    emit, items, kinds, now = bus.emit, bus.items, len(bus.items), time.perf_counter_ns
    for number in range(count):
        begin = now()
        emit(items[number % kinds])
        times.append(now() - begin)


Emitting = Callable[[Bus, int, list[int]], None]


def run(bus: Bus, case: Case, count: int, emitting: Emitting) -> tuple[float, list[int]]:
    """Emit `count` messages from the case's threads; return ns per emit, and the timed calls."""
    times: list[list[int]] = [[] for _ in range(case.threads)]
    expected = bus.total() + count * case.interested
    gate = threading.Barrier(case.threads + 1)

    def emit(own: list[int]) -> None:
        gate.wait()
        emitting(bus, count // case.threads, own)

    threads = [threading.Thread(target=emit, args=(own,)) for own in times]
    for thread in threads:
        thread.start()
    gc.collect()
    gc.disable()
    gate.wait()
    begin = time.perf_counter_ns()
    for thread in threads:
        thread.join()
    while bus.total() < expected and time.perf_counter_ns() - begin < PATIENCE_S * 1e9:
        time.sleep(0.0001)
    took = time.perf_counter_ns() - begin
    gc.enable()
    if bus.total() != expected:
        raise ArithmeticError(f"{case}: handlers added up {bus.total()}, not {expected}")
    return took / count, [each for own in times for each in own]


def measure(name: str, size: str) -> dict[str, Any]:
    """Return, by case, the least ns per emit and percentiles of the calls in ns."""
    results = {}
    for case in CASES:
        count = SIZES[size] // max(case.interested, 4) // 2 * 2
        with BUSES[name](case) as bus:
            run(bus, case, count // 10 * 2, _plain)
            per_emit = [run(bus, case, count, _plain)[0] for _ in range(PASSES)]
            calls = run(bus, case, count, _timed)[1]
        cuts = statistics.quantiles(calls, n=1000)
        results[str(case)] = {
            "ns": min(per_emit), "p50": cuts[499], "p99": cuts[989], "p99.9": cuts[998],
        }  # fmt: skip
    return results


Figures = dict[str, dict[str, list[dict[str, float]]]]
"""By bus and case, one measurement for each repetition."""


def collect(repetitions: int, size: str) -> Figures:
    """Measure all, interleaved, each in a process of its own."""
    figures: Figures = {name: defaultdict(list) for name in BUSES}
    for _ in range(repetitions):
        for name in BUSES:
            command = [sys.executable, "-m", "benchmarks.bench_dispatch", "--measure", name]
            command += ["--quick"] if size == "quick" else []
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
            if done.returncode:
                sys.exit(f"bench_dispatch: {name} failed with exit status {done.returncode}")
            for case, figure in json.loads(done.stdout).items():
                figures[name][case].append(figure)
    return figures


def _cell(measured: list[dict[str, float]]) -> str:
    nanoseconds = [each["ns"] for each in measured]
    return f"{min(nanoseconds):.0f} / {statistics.median(nanoseconds):.0f}"


def _calls(measured: list[dict[str, float]]) -> str:
    cuts = (statistics.median(each[cut] for each in measured) for cut in ("p50", "p99", "p99.9"))
    return " / ".join(f"{cut / 1000:.2f}" for cut in cuts)


def report(figures: Figures) -> str:
    """Return the tables and the goals as Markdown."""

    def ratio(one: str, other: str, case: Case) -> float:
        first, second = figures[one][str(case)], figures[other][str(case)]
        return min(each["ns"] for each in first) / min(each["ns"] for each in second)

    pairs = (("edgekernel", "floor"), ("bussdcc", "edgekernel"))
    throughput = [
        [str(case), *(_cell(figures[name][str(case)]) for name in BUSES),
         *(f"{ratio(*pair, case):.2f}" for pair in pairs)]
        for case in CASES
    ]  # fmt: skip
    calls = [[str(case), *(_calls(figures[name][str(case)]) for name in BUSES)] for case in CASES]
    one, many, selective = Case(1, 1, 1), Case(100, 1, 1), Case(100, 50, 1)
    goals = [
        Goal(f"bussdcc / edgekernel, {one}", ratio(*pairs[1], one), 3, at_least=True),
        Goal(f"bussdcc / edgekernel, {selective}", ratio(*pairs[1], selective), 12, at_least=True),
        Goal(f"edgekernel / floor, {many}", ratio(*pairs[0], many), 1.3),
    ]
    header = ["ns per emit, min / median", *BUSES, *(" / ".join(pair) for pair in pairs)]
    times = table(["us in emit, p50 / p99 / p99.9", *BUSES], calls)
    return "\n".join([table(header, throughput), "", times, "", *map(str, goals)])


def main() -> None:
    """Measure and print; with `--measure`, one bus as JSON."""
    parser = options(__doc__ or "")
    parser.add_argument("--measure", choices=BUSES, help="measure one and print JSON")
    arguments = parser.parse_args()
    size = "quick" if arguments.quick else "full"
    if arguments.measure:
        json.dump(measure(arguments.measure, size), sys.stdout)
        return
    figures = collect(1 if arguments.quick else REPETITIONS, size)
    publish("bench_dispatch", report(figures), figures, arguments)


if __name__ == "__main__":
    main()
