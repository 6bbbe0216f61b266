"""What a journal costs: an emit with and without one, a record on its way, bytes in a day.

An emit is measured on the real clock with one interested process, in batches that fit into the
journal's queue, while the journal is written beside it. The days are simulated at full speed: the
greenhouse of the examples, and a node with one BME280 that is polled once a second.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.report import ROOT, options, publish, table
from edgekernel import Message, Process, Runtime, SystemClock, on
from edgekernel.journal import Journal, SegmentSink, SegmentSource
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock

EMITS, QUICK_EMITS = 10_000, 1_000
REPETITIONS, QUICK_REPETITIONS = 15, 2
DAY_S, QUICK_S = 86_400.0, 3_600.0
COMMIT_S = 10.0
PAGE_BYTES = 4096
"""What a commit writes at least: a page of the file system, beside its own bookkeeping."""

BME280 = """
[node]
name = "weather-1"
board = "sim"

[devices.room]
driver = "bme280"
bus = "i2c1"
every = "1s"
"""


class Measured(Message):
    """A message as they are: a few fields."""

    device: str
    celsius: float
    humidity: float


class Interested(Process):
    """Handles the messages."""

    name = "interested"
    seen: ClassVar[int] = 0

    @on(Measured)
    def handle(self, event: Any) -> None:
        """Count it."""
        Interested.seen += 1


def emits(count: int, repetitions: int, folder: Path) -> dict[str, list[float]]:
    """Return microseconds per emit, without and with a journal, interleaved."""
    took: dict[str, list[float]] = {"without": [], "with": []}
    with ExitStack() as stack:
        runtimes: dict[str, tuple[Runtime, Journal | None]] = {}
        for name in took:
            clock = SystemClock()
            runtime = Runtime(clock=clock)
            runtime.register(Interested())
            journal = None
            if name == "with":
                journal = stack.enter_context(
                    Journal(SegmentSink(folder), clock, commit_s=0.5, room=2 * count)
                )
                journal.record(runtime)
            runtimes[name] = stack.enter_context(runtime), journal
        for _ in range(repetitions):
            for name, (runtime, journal) in runtimes.items():
                begin = time.perf_counter()
                for number in range(count):
                    runtime.emit(Measured("room", number / 10, 50.0))
                took[name].append((time.perf_counter() - begin) / count * 1e6)
                while journal is not None and journal.counters()["waiting"]:
                    time.sleep(0.05)
    return took


def day(node: Path, seconds: float, folder: Path) -> dict[str, float]:
    """Simulate a node with a journal; return what was recorded, for a whole day."""
    plan = make_plan(node)
    began = time.perf_counter()
    with SimClock() as clock:
        sink = SegmentSink(folder, durable=False)
        with Journal(sink, clock, commit_s=COMMIT_S) as journal:
            runtime, _ = assemble_simulated(plan, clock, Runtime, around=journal.around)
            journal.record(runtime, plan)
            with runtime:
                clock.advance(seconds)
            commits = journal.counters()["commits"]
    took_s = time.perf_counter() - began
    records = sum(1 for _ in SegmentSource(folder))
    share = DAY_S / seconds
    return {
        "records": records * share,
        "written": sink.bytes_written * share,
        "kept": sink.size * share,
        "commits": commits * share,
        "took_s": took_s * share,
    }


def bare_day(node: Path, seconds: float) -> float:
    """Return the seconds that the same simulation takes without a journal."""
    plan = make_plan(node)
    began = time.perf_counter()
    with SimClock() as clock:
        runtime, _ = assemble_simulated(plan, clock, Runtime)
        with runtime:
            clock.advance(seconds)
    return (time.perf_counter() - began) * DAY_S / seconds


def report(took: dict[str, list[float]], days: dict[str, dict[str, float]]) -> str:
    """Return the tables as Markdown."""
    rows = [[name, f"{min(t):.2f}", f"{statistics.median(t):.2f}"] for name, t in took.items()]
    emit_table = table(["an emit, µs", "min", "median"], rows)
    header = ["a day of", "records", "written", "a record", "kept, packed", "commits", "in pages"]
    header += ["simulated", "without journal"]
    day_rows = [
        [
            name,
            f"{each['records']:,.0f}",
            f"{each['written'] / 1e6:.2f} MB",
            f"{each['written'] / each['records']:.1f} bytes",
            f"{each['kept'] / 1e6:.2f} MB",
            f"{each['commits']:,.0f}",
            f"{each['commits'] * PAGE_BYTES / 1e6:.0f} MB",
            f"{each['took_s']:.1f} s",
            f"{each['bare_s']:.1f} s",
        ]
        for name, each in days.items()
    ]
    return f"{emit_table}\n\n{table(header, day_rows)}"


def main() -> None:
    """Measure and print."""
    arguments = options(__doc__ or "").parse_args()
    quick = arguments.quick
    seconds = QUICK_S if quick else DAY_S
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        weather = folder / "weather.toml"
        weather.write_text(BME280)
        nodes = {
            "the greenhouse": ROOT / "examples/greenhouse/node.toml",
            "one BME280 at 1 Hz": weather,
        }
        took = emits(
            QUICK_EMITS if quick else EMITS,
            QUICK_REPETITIONS if quick else REPETITIONS,
            folder / "emits",
        )
        days = {}
        for number, (name, node) in enumerate(nodes.items()):
            days[name] = day(node, seconds, folder / f"day-{number}")
            days[name]["bare_s"] = bare_day(node, seconds)
    publish("bench_journal", report(took, days), {"emits": took, "days": days}, arguments)


if __name__ == "__main__":
    main()
