"""`make soak`: a node through 30 bad days, after which it has no more than after the first ones.

A whole node (devices, application, journal, outbox, log of requests, MQTT with a controller) runs
in simulated time; see docs/soak.md. Ends with status 1, and every reason, if something grows.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.report import table
from tests.soak.day import Day, look
from tests.soak.rig import DAY_S, REQUESTS, Rig
from tests.soak.verdict import GROWTH, growing_types, growth, problems, warm_up

Show = Callable[[int, float, float], object]


def soak(
    days: int, day_s: float, show: Show = lambda *_: None, requests: int = REQUESTS
) -> Iterator[Day]:
    """Let a node live so many days; yield what each of them was like. `show` is told the day, how
    much of it has passed, and the rate."""
    with (
        tempfile.TemporaryDirectory(prefix="edgekernel-soak-") as name,
        Rig(Path(name), day_s, requests) as rig,
    ):
        for number in range(1, days + 1):
            begun_s = time.monotonic()

            def passed(share: float, number: int = number, begun_s: float = begun_s) -> None:
                show(number, share, share * day_s / (time.monotonic() - begun_s))

            rig.pass_day(passed)
            yield look(number, time.monotonic() - begun_s, rig)


def report(days: Sequence[Day]) -> str:
    """Return the figures of the days as a table, and what grows."""
    rows = [
        [
            str(day.number),
            f"{day.rss_kb / 1024:.1f}",
            *(str(each) for each in (day.blocks, day.objects)),
            *(str(len(each)) for each in (day.fibers, day.threads, day.files, day.claimed)),
            *(
                f"{each / 1000:.0f}"
                for each in (day.journal_bytes, day.outbox_bytes, day.requests_bytes)
            ),
            *(str(each) for each in (sum(day.told.values()), day.warnings)),
            f"{day.asked.get('ok', 0)}/{sum(day.asked.values())}",
        ]
        for day in days
    ]
    head = (
        "day", "RSS MB", "blocks", "objects", "fibers", "threads", "files", "claimed",
        "journal KB", "outbox KB", "requests KB", "messages", "warnings", "answered",
    )  # fmt: skip
    return f"{table(head, rows)}\n\n{_growth(days)}"


def _growth(days: Sequence[Day]) -> str:
    kept = days[warm_up(len(days)) :]
    lines = [
        f"{name}: {growth([getattr(day, name) for day in kept]):+.1f} a day (at most {limit:g})"
        for name, limit in GROWTH.items()
    ]
    types = ", ".join(f"{kind} {count:+}" for kind, count in growing_types(days)) or "none"
    told = ", ".join(f"{name} {count}" for name, count in days[-1].told.items())
    since = f"since day {kept[0].number}, " if kept else ""
    return "\n".join(
        [f"growth {since}{'; '.join(lines)}", f"more objects of: {types}", f"last day: {told}"]
    )


def _figures(days: Sequence[Day], found: Sequence[str]) -> dict[str, Any]:
    kept = days[warm_up(len(days)) :]
    return {
        "days": [asdict(day) | {"types": dict(day.types.most_common(40))} for day in days],
        "growth": {name: growth([getattr(day, name) for day in kept]) for name in GROWTH},
        "problems": list(found),
    }


def main() -> int:
    """Run the soak that the command line asks for."""
    parser = argparse.ArgumentParser(prog="soak", description="A node through many bad days.")
    parser.add_argument("--days", type=int, default=30, help="how many (%(default)s)")
    parser.add_argument(
        "--hours", type=float, default=24, help="how long each of them is (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    wanted = parser.parse_args()
    if wanted.days < 1 or wanted.hours < 1:
        parser.error("there is 1 day of 1 hour at least")
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    begun_s = time.monotonic()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("soak", total=wanted.days)

        def show(number: int, share: float, rate: float) -> None:
            text = f"soak: day {number}/{wanted.days}, {rate:,.0f} simulated seconds a second"
            progress.update(task, completed=number - 1 + share, description=text)

        days = []
        for day in soak(wanted.days, wanted.hours / 24 * DAY_S, show):
            days.append(day)
            console.print(
                f"soak: day {day.number}/{wanted.days} in {day.took_s:.0f} s: "
                f"{day.rss_kb / 1024:.1f} MB, {day.blocks} blocks, {day.objects} objects",
                highlight=False,
            )
    found = problems(days)
    say = print
    if wanted.json:
        say(json.dumps(_figures(days, found)))
    else:
        load = " ".join(f"{each:.1f}" for each in os.getloadavg())
        took_s = time.monotonic() - begun_s
        say(report(days))
        say(f"{wanted.days} days in {took_s:.0f} s; load of the machine {load}")
    for each in found:
        console.print(f"soak: {each}", soft_wrap=True, highlight=False)
    if not found and not wanted.json:
        say("soak: nothing is left behind, and nothing grows")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
