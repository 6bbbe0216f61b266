"""The folder of a journal: numbered segments, the oldest of which go when there are too many."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekernel.core.clock import NANOSECONDS
from edgekernel.hal.disk import Disk
from edgekernel.journal.blocks import HEAD, MAGIC

SIGNATURE = b"EKJRNL1\n"
"""The first bytes of a segment, for people and `file`; to read it they are not needed."""
SUFFIX = ".ekj"
FIRST = 1
"""The number of the very first segment."""
UNFINISHED = ".ekj-new"
"""The suffix of a segment that is being packed."""
_LEAST = 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a journal keeps; what is more goes, the oldest segment first.

    The limits hold for whole segments: one is at most a sixteenth of `max_bytes`, and at most
    1 MB. A segment is as old as its last record. The latest one always stays.
    """

    max_bytes: int = 64_000_000
    max_age_s: float | None = None
    max_segments: int = 4096

    def __post_init__(self) -> None:
        if self.max_bytes < _LEAST or self.max_segments < 2:
            raise ValueError(f"{self}: a journal needs 1 MB and 2 segments at least")
        if self.max_age_s is not None and not self.max_age_s > 0:
            raise ValueError(f"{self}: the age is above 0 s")

    @property
    def segment_bytes(self) -> int:
        """The size at which a segment is full."""
        return min(1_000_000, self.max_bytes // 16)


@dataclass(slots=True)
class Segment:
    """One file of a journal, as far as its limits are concerned."""

    number: int
    path: Path
    size: int
    begun_ns: int | None
    """The wall time of its first record, if that is known."""


@dataclass(slots=True)
class Dropped:
    """What has gone because of the limits, so far."""

    segments: int = 0
    size: int = 0


class Folder:
    """The segments of one journal. Only one process at a time writes to it."""

    def __init__(self, path: Path, limits: Limits, disk: Disk) -> None:
        """Make the folder and take it; raises OSError, which is BusyError if it is taken."""
        self.path = path
        self.limits = limits
        self.disk = disk
        self.dropped = Dropped()
        disk.make_folder(path)
        self._taken = disk.take_folder(path)
        place = disk.place(path)
        for torn in place.glob(f"*{UNFINISHED}"):
            disk.remove(path / torn.name)
        aged = limits.max_age_s is not None
        self.segments = [_look(path / found.name, found, aged) for found in segment_files(place)]

    def begin(self) -> Segment:
        """Add a segment, whose file is not there yet."""
        number = self.segments[-1].number + 1 if self.segments else FIRST
        made = Segment(number, self.path / f"{number:08}{SUFFIX}", 0, None)
        self.segments.append(made)
        return made

    def give_up(self, segment: Segment) -> None:
        """Take a segment out that could not be made."""
        self.segments.remove(segment)

    def prune(self, now_ns: int) -> None:
        """Remove the oldest segments as long as there is too much; raises OSError."""
        total = sum(segment.size for segment in self.segments)
        while len(self.segments) > 1 and self._too_much(total, now_ns):
            oldest = self.segments[0]
            self.disk.remove(oldest.path)
            del self.segments[0]
            total -= oldest.size
            self.dropped.segments += 1
            self.dropped.size += oldest.size

    def _too_much(self, total: int, now_ns: int) -> bool:
        limits, following = self.limits, self.segments[1]
        if total > limits.max_bytes or len(self.segments) > limits.max_segments:
            return True
        if limits.max_age_s is None or following.begun_ns is None:
            return False
        return following.begun_ns < now_ns - limits.max_age_s * NANOSECONDS

    def sync(self) -> None:
        """Make it safe which files there are."""
        self.disk.sync_folder(self.path)

    def close(self) -> None:
        """Let others write there. Closing twice is harmless."""
        self._taken.close()


def segment_files(folder: Path) -> list[Path]:
    """Return the segments of a folder, the oldest first; raises OSError."""
    found = [each for each in folder.iterdir() if each.suffix == SUFFIX and each.stem.isdecimal()]
    return sorted(found, key=lambda path: int(path.stem))


def _look(path: Path, place: Path, aged: bool) -> Segment:
    """Return a segment that is there, with the time of its begin if its age matters."""
    begun_ns = None
    if aged:
        with place.open("rb") as file:
            begin = file.read(len(SIGNATURE) + HEAD.size)
        if len(begin) == len(SIGNATURE) + HEAD.size:
            magic, *_, wall_ns = HEAD.unpack_from(begin, len(SIGNATURE))
            begun_ns = wall_ns if magic == MAGIC else None
    return Segment(int(path.stem), path, place.stat().st_size, begun_ns)
