"""SegmentSource: reads the segments of a folder, whatever has become of them.

Each block that is whole is read; what lies between blocks is counted. Records are numbered, so it
is known how many are missing. It may read while the agent writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgekernel.journal.blocks import (
    CRC,
    HEAD,
    MAX_CONTENT,
    Block,
    Damage,
    parse,
    read_blocks,
)
from edgekernel.journal.folder import FIRST, SIGNATURE, segment_files
from edgekernel.journal.protocol import Entry, Unreadable
from edgekernel.journal.records import BootRecord, LostRecord, OpaqueRecord, Record


class SegmentSource:
    """Reads a journal's folder, the oldest record first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unreadable = Unreadable()

    @property
    def unreadable(self) -> Unreadable:
        """What could not be read in the latest reading."""
        return self._unreadable

    def entries(
        self, *, number: int = 0, since_ns: int | None = None, until_ns: int | None = None
    ) -> Iterator[Entry]:
        """Return the entries from a number on, and from and before a wall time.

        Segments whose successor begins before `since_ns` are not read, nor those at the end that
        begin after `until_ns`. Raises OSError if the folder cannot be read. A segment that goes
        meanwhile is passed over.
        """
        self._unreadable = unreadable = Unreadable()
        files = _from(segment_files(self._folder), number, since_ns)
        files = files if until_ns is None else _before(files, until_ns)
        for entry in _Reading(files, number, unreadable).entries():
            time_ns = entry.record.time_ns
            unknown = time_ns == 0 and isinstance(entry.record, OpaqueRecord)
            if since_ns is not None and (unknown or time_ns < since_ns):
                continue
            if until_ns is not None and (unknown or time_ns >= until_ns):
                continue
            yield entry

    def last_ns(self) -> int | None:
        """Return the wall time of the last record; None if there is none. Raises OSError."""
        for path in reversed(segment_files(self._folder)):
            reading = _Reading([path], 0, Unreadable())
            times = [e.record.time_ns for e in reading.entries() if e.number is not None]
            if times:
                return times[-1]
        return None

    def __iter__(self) -> Iterator[Record]:
        """Return the records."""
        return (entry.record for entry in self.entries())


class _Reading:
    """One pass over the segments."""

    def __init__(self, files: list[Path], number: int, unreadable: Unreadable) -> None:
        self._files = files
        self._from = number
        self._unreadable = unreadable
        self._expected: int | None = number or None
        if files and int(files[0].stem) == FIRST and not number:
            self._expected = 0  # nothing has been dropped yet
        self._boot = ""

    def entries(self) -> Iterator[Entry]:
        for path in self._files:
            try:
                data = path.read_bytes()
            except FileNotFoundError:  # dropped by the agent meanwhile
                continue
            begin = len(SIGNATURE) if data.startswith(SIGNATURE) else 0
            for found in read_blocks(data, begin):
                if isinstance(found, Block):
                    yield from self._of_block(found)
                else:
                    yield self._of_damage(found, path, len(data))

    def _of_block(self, block: Block) -> Iterator[Entry]:
        if block.repeated:
            yield from self._of_repeated(block)
            return
        expected = block.number if self._expected is None else self._expected
        if block.number > expected:
            count = block.number - expected
            self._unreadable.records += count
            lost = LostRecord(block.monotonic_ns, block.wall_ns, count, "damaged or removed")
            yield Entry(expected, lost)
        end = block.number + block.count
        if end > expected:  # else it was written twice, after a failure
            yield from self._numbered(block, max(expected, self._from))
        self._expected = max(end, expected)

    def _numbered(self, block: Block, first: int) -> Iterator[Entry]:
        for number, record in enumerate(block.records(), block.number):
            if isinstance(record, BootRecord):
                self._boot = record.boot_id
            if number >= first:
                self._unreadable.records += isinstance(record, OpaqueRecord)
                yield Entry(number, record)

    def _of_repeated(self, block: Block) -> Iterator[Entry]:
        records = list(block.records())
        boots = [record.boot_id for record in records if isinstance(record, BootRecord)]
        if boots and boots[-1] != self._boot and not self._from:
            self._boot = boots[-1]
            yield from (Entry(None, record) for record in records)

    def _of_damage(self, damage: Damage, path: Path, size: int) -> Entry:
        self._unreadable.places += 1
        self._unreadable.size += damage.size
        what = "torn end" if damage.end == size else "damage"
        where = f"{path.name}, from byte {damage.offset}"
        reason = f"{what}: {damage.size} bytes of {where}, cannot be read"
        return Entry(None, OpaqueRecord(0, 0, "", 0, reason, b""))


def next_number(folder: Path) -> int:
    """Return the number after the last record that can be read; raises OSError."""
    for path in reversed(segment_files(folder)):
        numbers = [
            block.number + (0 if block.repeated else block.count)
            for block in read_blocks(path.read_bytes())
            if isinstance(block, Block)
        ]
        if numbers:
            return max(numbers)
    return 0


def _from(files: list[Path], number: int, since_ns: int | None) -> list[Path]:
    """Return the segments without those before the one in which a number or time can be first."""
    begin = 0
    if number or since_ns is not None:
        for at, path in enumerate(files[1:], 1):
            block = _first_block(path)
            if block is None or block.number > number > 0:
                break
            if since_ns is not None and block.wall_ns >= since_ns:
                break
            begin = at
    return files[begin:]


def _before(files: list[Path], until_ns: int) -> list[Path]:
    """Return the segments without those at the end that begin at a time or later."""
    end = len(files)
    while end > 1:
        block = _first_block(files[end - 1])
        if block is None or block.wall_ns < until_ns:
            break
        end -= 1
    return files[:end]


def _first_block(path: Path) -> Block | None:
    """Return the block with which a segment begins, if it is whole and no repetition."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(SIGNATURE) + HEAD.size)
            if len(begin) < len(SIGNATURE) + HEAD.size:
                return None
            length = min(HEAD.unpack_from(begin, len(SIGNATURE))[4], MAX_CONTENT)
            begin += file.read(length + CRC.size)
            block = parse(begin, len(SIGNATURE))
            if block is not None and block.repeated:
                begin = file.read(HEAD.size)
                length = HEAD.unpack(begin)[4] if len(begin) == HEAD.size else 0
                block = parse(begin + file.read(min(length, MAX_CONTENT) + CRC.size), 0)
    except FileNotFoundError:
        return None
    return block
