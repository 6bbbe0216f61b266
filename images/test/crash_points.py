"""What would be on the card if the power had gone at some moment: replays a log of its writes.

A disk keeps what it was told to flush; of what came after that it has kept any part. The log is
that of QEMU's `blklogwrites`, whose format is that of the kernel's dm-log-writes
(Documentation/admin-guide/device-mapper/log-writes.rst; struct log_write_super and log_write_entry
of drivers/md/dm-log-writes.c).
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_SUPER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")
_MAGIC = 0x6A736677736872
_FLUSH, _FUA, _DISCARD = 1, 2, 4
_SECTOR = 512


@dataclass(frozen=True)
class Write:
    """What was written at an offset of the disk, in bytes; or only a flush."""

    offset: int
    data: bytes
    flush: bool
    durable: bool
    """Whether it counts itself as flushed (FUA)."""


def logged(log: Path) -> int:
    """Return how many entries are in the log, also while it is written."""
    with log.open("rb") as file:
        head = file.read(_SUPER.size)
    return int(_SUPER.unpack(head)[2]) if len(head) == _SUPER.size else 0


def read(log: Path) -> Iterator[Write]:
    """Return the entries of a log, in order. Raises ValueError if it is none."""
    with log.open("rb") as file:
        magic, version, count, sector = _SUPER.unpack(file.read(_SUPER.size))
        if magic != _MAGIC or version != 1:
            raise ValueError(f"{log}: no log of writes (magic {magic:#x}, version {version})")
        at = sector
        for _ in range(count):
            file.seek(at)
            where, length, flags, _ = _ENTRY.unpack(file.read(_ENTRY.size))
            at += sector
            size = length * sector
            discard = bool(flags & _DISCARD)
            if not discard:
                file.seek(at)
                at += size
            data = bytes(size) if discard else file.read(size)
            yield Write(where * sector, data, bool(flags & _FLUSH), bool(flags & _FUA))


@dataclass
class Disk:
    """A partition of the disk, in a file: what was flushed is in it, the rest waits."""

    file: Path
    begin: int
    """Where it begins on the disk, in bytes."""
    size: int
    pending: list[Write] = field(default_factory=list)

    def take(self, write: Write) -> None:
        """Let the disk be told of a write, or of a flush."""
        if write.flush:
            self.apply(self.file, self.pending)
            self.pending = []
        if write.data:
            if write.durable:
                self.apply(self.file, [write])
            else:
                self.pending.append(write)

    def crash(self, copy: Path, chance: random.Random) -> None:
        """Write to a copy of the file what may have been kept besides: any half of what waits."""
        self.apply(copy, [each for each in self.pending if chance.random() < 0.5])

    def apply(self, file: Path, writes: list[Write]) -> None:
        """Write to a file of this partition; what is elsewhere on the disk is left out."""
        with file.open("r+b") as partition:
            for write in writes:
                begin, end = write.offset - self.begin, write.offset - self.begin + len(write.data)
                if end <= 0 or begin >= self.size:
                    continue
                skipped = max(0, -begin)
                partition.seek(max(begin, 0))
                partition.write(write.data[skipped : self.size - begin])


def partition(disk: Path, number: int) -> tuple[int, int]:
    """Return where a partition of a disk begins and its size, in bytes, from its MBR."""
    with disk.open("rb") as file:
        file.seek(446 + 16 * (number - 1))
        begin, size = struct.unpack("<8xII", file.read(16))
    return begin * _SECTOR, size * _SECTOR
