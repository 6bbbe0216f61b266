"""What is wrong with a soak: what differs from day to day, what grows, what is over its bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from statistics import median

from edgekernel.mqtt.request_log import MAX_FILE_BYTES
from tests.soak.day import Day
from tests.soak.rig import JOURNAL_MB, OUTBOX_MB

MB = 1_000_000
_COUNTS = ("fibers", "threads", "files", "claimed")
"""What is there in the same number and by the same names at the end of every day."""

BOUNDS = {
    "journal_bytes": JOURNAL_MB * MB + JOURNAL_MB * MB // 16,  # the limit holds after a commit
    "outbox_bytes": 2 * OUTBOX_MB * MB + 3 * 4_194_304,  # pages and indexes; write-ahead log
    "requests_bytes": 2 * MAX_FILE_BYTES,  # while it is written anew there are two
}
"""Bytes on the disk, by what the node file and the code say."""

GROWTH = {"rss_kb": 100.0, "blocks": 150.0, "objects": 40.0}
"""How much may be added in a day. What is left behind at every heartbeat is 1440 a day; what the
soak keeps of a day is about 70 blocks and 15 objects. RSS is coarse: Python takes memory in pieces
of 1 MB, of which two in the 20 days that count are 100 KB a day."""

MOST_WARNINGS = 100
"""Messages of severity WARNING or above in a day with nine faults."""

FEWEST_DAYS = 4
"""Days from which on a growth is told from chance."""


def warm_up(days: int) -> int:
    """Return how many of the first days say nothing of growth: memories with a bound fill up."""
    return max(1, days // 3)


def growth(values: Sequence[float]) -> float:
    """Return by how much a figure grows from one to the next: the median of the slopes between
    all pairs (Theil-Sen), which a few days that stand out do not move. 0 for a single one."""
    pairs = combinations(enumerate(values), 2)
    slopes = [(later - value) / (at - now) for (now, value), (at, later) in pairs]
    return median(slopes) if slopes else 0.0


def problems(days: Sequence[Day]) -> list[str]:
    """Return every reason for which a soak has failed."""
    return [*_differing(days), *_growing(days), *_beyond(days), *_silent(days)]


def growing_types(days: Sequence[Day], most: int = 5) -> list[tuple[str, int]]:
    """Return the types of which there are more than after the warm-up, those that grew most."""
    first, last = days[min(warm_up(len(days)), len(days) - 1)].types, days[-1].types
    return (last - first).most_common(most)


def _differing(days: Sequence[Day]) -> Iterator[str]:
    for name in _COUNTS:
        usual = Counter(getattr(days[0], name))
        for day in days[1:]:
            found = Counter(getattr(day, name))
            if found != usual:
                more, fewer = found - usual, usual - found
                yield (
                    f"day {day.number}: {found.total()} {name}, and {usual.total()} on day "
                    f"{days[0].number}: more: {_told(more)}; fewer: {_told(fewer)}"
                )
                break


def _growing(days: Sequence[Day]) -> Iterator[str]:
    kept = days[warm_up(len(days)) :]
    if len(kept) < FEWEST_DAYS:
        return
    for name, limit in GROWTH.items():
        found = growth([getattr(day, name) for day in kept])
        if found > limit:
            types = ", ".join(f"{kind} +{count}" for kind, count in growing_types(days))
            yield (
                f"{name} grow by {found:.1f} a day from day {kept[0].number} on, at most "
                f"{limit:g} is allowed; more there are of: {types or 'nothing the collector knows'}"
            )


def _beyond(days: Sequence[Day]) -> Iterator[str]:
    bounds = {**BOUNDS, "warnings": MOST_WARNINGS}
    for name, limit in bounds.items():
        figure, number = max((getattr(day, name), day.number) for day in days)
        if figure > limit:
            yield f"day {number}: {figure} {name}, at most {limit} are allowed"


def _silent(days: Sequence[Day]) -> Iterator[str]:
    """A soak in which nothing happens shows nothing."""
    for day in days:
        for name in ("mqtt.disconnected", "device.offline", "hot.added", "journal.failed"):
            if not day.told.get(name):
                yield f"day {day.number}: there was no {name}: the faults did not happen"
        if not day.asked.get("ok"):
            yield f"day {day.number}: no request of the controller was answered"


def _told(names: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in names.items()) or "none"
