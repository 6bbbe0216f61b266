"""What the outbox costs: a message on its way through it, and the wear of the medium in a day.

The rates are measured on the real clock with a link that acknowledges at once; beside it the same
with a commit for each message and each acknowledgement, as a plain SQLite spooler does it. Two
hours of a day are simulated, the files are real: bytes are counted by the kernel (/proc/self/io),
those that were written and those of the pages of the file system that were dirtied by it.

Then telemetry at QoS 1 over a real mosquitto, through the outbox and without one, beside raw paho.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from benchmarks.report import Goal, options, publish, table
from benchmarks.telemetry import Measured, telemetry
from edgekernel import SystemClock
from edgekernel.mqtt.outbox import Outbox, OutboxTable
from edgekernel.mqtt.transport import Properties
from edgekernel.sim import SimClock

MESSAGES, QUICK_MESSAGES = 50_000, 2_000
TELEMETRY = 10_000
PEER_MESSAGES, QUICK_PEER_MESSAGES = 3_000, 200
ROUNDS, QUICK_ROUNDS = 5, 1
DAY_S = 86_400
HOURS_S, QUICK_S = 7_200, 600
"""What is simulated of the day."""
PAYLOAD = b'{"celsius":21.5,"filling":"' + b"x" * 171 + b'"}'
"""200 bytes."""
INTERVALS_S = (0.05, 1.0, 10.0, 60.0)


class AtOnce:
    """A link that acknowledges before `publish` returns."""

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool,
        properties: Properties,
        on_done: Callable[..., object],
    ) -> None:
        """Take a message."""
        on_done()


class After:
    """A link on a simulated clock that acknowledges some time later."""

    def __init__(self, clock: SimClock, delay_s: float) -> None:
        self._clock = clock
        self._delay_s = delay_s

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool,
        properties: Properties,
        on_done: Callable[..., object],
    ) -> None:
        """Take a message."""

        def acknowledge() -> None:
            self._clock.sleep(self._delay_s)
            on_done()

        self._clock.Thread(acknowledge, "acknowledge").start()


class Rate(NamedTuple):
    """What so many messages have taken."""

    per_s: float
    cpu_us: float
    call_us: float
    """Of the calls of `accept` the slowest in a hundred, each."""


def measured(count: int, give: Callable[[], object], done: Callable[[], bool]) -> Rate:
    """Give messages until all are done."""
    calls = []
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        before = time.perf_counter()
        give()
        calls.append(time.perf_counter() - before)
    while not done():
        time.sleep(0.001)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    slow = statistics.quantiles(calls, n=100)[98]
    return Rate(count / took, cpu / count * 1e6, slow * 1e6)


def rates(folder: Path, count: int, peer_count: int) -> dict[str, Rate]:
    """Measure the ways of a message, one after the other."""
    made = OutboxTable(queue_rows=1_000_000, queue_size=10**9, drain_messages=0, drain_size=0)
    outbox = Outbox(folder / "outbox.db", SystemClock(), boot="bench", table=made)
    outbox.start()
    outbox.flush(10)
    outbox.up(AtOnce())

    def give() -> None:
        outbox.accept("edge/node/event/room", PAYLOAD)

    def drained() -> bool:
        return outbox.waiting == 0

    found = {"with a link": measured(count, give, drained)}
    outbox.down()
    found["without a link, until committed"] = measured(count, give, lambda: outbox.flush(60))
    began, cpu = time.perf_counter(), time.process_time()
    outbox.up(AtOnce())
    while not drained():
        time.sleep(0.001)
    outbox.flush(60)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    found["from the file, no limit"] = Rate(count / took, cpu / count * 1e6, 0.0)
    outbox.close()
    found["a commit for each"] = spooler(folder / "peer.db", peer_count)
    return found


def spooler(file: Path, count: int) -> Rate:
    """Measure a commit for each message and one for its acknowledgement, in the caller's thread."""
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "CREATE TABLE messages (key INTEGER PRIMARY KEY, topic TEXT, payload BLOB)"
        )

        def give() -> None:
            topic = "edge/node/event/room"
            row = database.execute(
                "INSERT INTO messages (topic, payload) VALUES (?, ?)", [topic, PAYLOAD]
            )
            database.execute("DELETE FROM messages WHERE key = ?", [row.lastrowid])

        return measured(count, give, lambda: True)


def written() -> tuple[int, int]:
    """Return the bytes that this process has written, and those of the pages it has dirtied."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["wchar"]), int(lines["write_bytes"])


class Wear(NamedTuple):
    """A day of one message a second."""

    commits: int
    written: int
    dirtied: int


def day(file: Path, seconds: int, commit_every: float, delay_s: float | None) -> Wear:
    """Simulate a part of a day, with the broker away or one that acknowledges after a delay."""
    made = OutboxTable(commit_every=commit_every)
    with SimClock() as clock:
        outbox = Outbox(file, clock, boot="bench", table=made)
        outbox.start()
        clock.advance(1)
        if delay_s is not None:
            outbox.up(After(clock, delay_s))
        before = written()
        for _ in range(seconds):
            outbox.accept("edge/node/event/room", PAYLOAD)
            clock.advance(1)
        commits = outbox.counters()["commits"]
        after = written()
        outbox.close()
    assert isinstance(commits, int)
    share = DAY_S / seconds
    made_bytes = [int((now - then) * share) for now, then in zip(after, before, strict=True)]
    return Wear(int(commits * share), *made_bytes)


def telemetry_report(ways: dict[str, list[Measured]]) -> str:
    """Return how the ways over mosquitto compare, and whether the goals are met."""
    rates = {name: statistics.median(rate for rate, _ in each) for name, each in ways.items()}
    rows = [
        [
            name,
            f"{rates[name]:,.0f}",
            f"{statistics.median(cpu for _, cpu in each):.1f}",
            f"{rates[name] / rates['raw paho']:.2f}",
        ]
        for name, each in ways.items()
    ]
    header = ["QoS 1 over mosquitto, medians", "messages/s", "CPU µs a message", "of raw paho"]
    goals = [
        Goal(f"{name}, of raw paho", rates[name] / rates["raw paho"], limit, at_least=True)
        for name, limit in (("through the outbox", 0.35), ("from memory", 0.6))
    ]
    return "\n".join([table(header, rows), "", *map(str, goals)])


def report(found: dict[str, list[Rate]], days: dict[str, Wear]) -> str:
    """Return the tables as Markdown."""
    rows = [
        [
            name,
            f"{statistics.median(rate.per_s for rate in each):,.0f}",
            f"{statistics.median(rate.cpu_us for rate in each):.1f}",
            f"{statistics.median(r.call_us for r in each):.1f}" if each[0].call_us else "-",
        ]
        for name, each in found.items()
    ]
    header = ["200 bytes, medians", "messages/s", "CPU µs a message", "call, p99 µs"]
    days_header = ["1 message/s for a day", "commits", "written", "in pages"]
    day_rows = [
        [
            name,
            f"{wear.commits:,}",
            f"{wear.written / 1e6:,.1f} MB",
            f"{wear.dirtied / 1e6:,.1f} MB",
        ]
        for name, wear in days.items()
    ]
    return f"{table(header, rows)}\n\n{table(days_header, day_rows)}"


def main() -> None:
    """Measure and print."""
    arguments = options(__doc__ or "").parse_args()
    quick = arguments.quick
    sizes = (
        (QUICK_MESSAGES, QUICK_PEER_MESSAGES, QUICK_ROUNDS)
        if quick
        else (MESSAGES, PEER_MESSAGES, ROUNDS)
    )
    found: dict[str, list[Rate]] = {}
    for _ in range(sizes[2]):
        with tempfile.TemporaryDirectory() as made:
            for name, rate in rates(Path(made), *sizes[:2]).items():
                found.setdefault(name, []).append(rate)
    seconds = QUICK_S if quick else HOURS_S
    days = {}
    with tempfile.TemporaryDirectory() as made:
        for interval_s in INTERVALS_S:
            name = f"broker away, commits every {interval_s:g} s"
            days[name] = day(Path(made) / f"{interval_s}.db", seconds, interval_s, None)
        for delay_s in (0.02, 0.2):
            name = f"broker there, {delay_s * 1e3:g} ms away, commits every 0.05 s"
            days[name] = day(Path(made) / f"there-{delay_s}.db", seconds, 0.05, delay_s)
    with tempfile.TemporaryDirectory() as made:
        ways = telemetry(Path(made), PAYLOAD, QUICK_MESSAGES if quick else TELEMETRY, sizes[2])
    figures = {
        "telemetry": ways,
        "rates": {name: [rate._asdict() for rate in each] for name, each in found.items()},
        "days": {name: wear._asdict() for name, wear in days.items()},
    }
    text = f"{report(found, days)}\n\n{telemetry_report(ways)}"
    publish("bench_outbox", text, figures, arguments)


if __name__ == "__main__":
    main()
