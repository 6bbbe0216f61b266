"""What there is at the end of a day: memory, objects, threads, files, pins, bytes on the disk."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from edgekernel import Severity
from tests.soak.rig import Rig

_STATUS = Path("/proc/self/status")
_FILES = Path("/proc/self/fd")
_MOST_TYPES = 40
"""What is kept of a day has to be small: it is in the memory that is measured."""


@dataclass(frozen=True)
class Day:
    """The figures of one day; all but what was told and asked are those of its last moment."""

    number: int
    took_s: float
    rss_kb: int
    blocks: int
    """Pieces of memory that Python holds (`sys.getallocatedblocks`)."""
    objects: int
    """Objects that Python's collector knows, those it could free being gone."""
    fibers: tuple[str, ...]
    threads: tuple[str, ...]
    files: tuple[str, ...]
    claimed: tuple[str, ...]
    journal_bytes: int
    outbox_bytes: int
    requests_bytes: int
    told: dict[str, int]
    """How many there were of each message."""
    warnings: int
    """How many of them were of severity WARNING or above."""
    asked: dict[str, int]
    """What has come of the requests of the controller."""
    types: Counter[str] = field(repr=False)
    """How many objects there are of the most frequent types."""


def look(number: int, took_s: float, rig: Rig) -> Day:
    """Collect garbage, and measure; the counts of the rig begin anew."""
    told, asked = dict(rig.told), dict(rig.asked)
    warnings = sum(count for (_, level), count in told.items() if level >= Severity.WARNING)
    rig.told.clear()
    rig.asked.clear()
    while gc.collect():
        pass
    _give_back()
    data = rig.folder / "data"
    return Day(
        number,
        took_s,
        rss_kb(),
        sys.getallocatedblocks(),
        len(gc.get_objects()),
        fibers=_names(rig.waiting()),
        threads=_names(each.name for each in threading.enumerate()),
        files=_names(_open_files(rig.folder)),
        claimed=_names(rig.node.board.claimed),
        journal_bytes=_size(rig.folder / "journal", "*"),
        outbox_bytes=_size(data, "outbox.db*"),
        requests_bytes=_size(data, "requests*"),
        told={name: count for (name, _), count in sorted(told.items())},
        warnings=warnings,
        asked=asked,
        types=Counter(dict(_types().most_common(_MOST_TYPES))),
    )


def _give_back() -> None:
    """Let the C library give free memory back to the kernel; only that of GNU can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _names(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(map(sys.intern, found)))


def _types() -> Counter[str]:
    kinds = Counter(map(type, gc.get_objects()))
    found: Counter[str] = Counter()
    for kind, count in kinds.items():
        found[sys.intern(f"{kind.__module__}.{kind.__qualname__}")] += count
    return found


def rss_kb() -> int:
    """Return how much memory this process has, as the kernel counts it: without what it can read
    again from files, which it drops and takes back as other processes need memory."""
    lines = _STATUS.read_text(encoding="utf-8").splitlines()
    found = next(line for line in lines if line.startswith("RssAnon:"))  # proc_pid_status(5)
    return int(found.split()[1])


def _open_files(folder: Path) -> list[str]:
    """Return what is open; of a journal's segments not which one it is."""
    found = []
    for link in _FILES.iterdir():
        try:
            target = os.readlink(link)
        except FileNotFoundError:  # that of the listing itself
            continue
        name = target.removeprefix(f"{folder}/")
        found.append("journal/*.ekj" if name.endswith(".ekj") else name)
    return found


def _size(folder: Path, pattern: str) -> int:
    return sum(each.stat().st_size for each in folder.glob(pattern))
