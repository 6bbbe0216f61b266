"""SegmentSink: a journal as a folder of segments, appended to block by block."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from edgekernel.backends.disk import SystemDisk
from edgekernel.hal.disk import Disk, DiskFile
from edgekernel.journal.blocks import MAX_RECORDS, BlockBuilder
from edgekernel.journal.folder import SIGNATURE, Dropped, Folder, Limits, Segment
from edgekernel.journal.packing import pack
from edgekernel.journal.records import Record
from edgekernel.journal.repetition import Repetition
from edgekernel.journal.segment_source import next_number

_BLOCK_BYTES = 1 << 15
"""How large a block becomes before it is written without a `flush`."""
_UNSAFE_BYTES = 1 << 18
"""How much may have been written and not be safe yet: it is kept until it is."""


class SegmentSink:
    """Writes records to the segments of a folder. What was flushed survives a power cut.

    A block is written at each `flush`, and made safe by fsync. Every sink begins a segment of its
    own and never changes what it finds. After a failure a new segment begins, with everything that
    was not safe yet. Boot, configuration and clock are repeated at the begin of each segment, and
    what boundaries answered during the boot, so that it can be understood, and replayed, when
    those before it have gone.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits | None = None,
        *,
        durable: bool = True,
        compress: bool = True,
        now_ns: Callable[[], int] = time.time_ns,
        disk: Disk | None = None,
    ) -> None:
        """Take a folder, which is made if need be; raises OSError, BusyError if it is in use.

        Without `durable` there is no fsync: for simulations. With `compress` a segment that is
        full is packed. `now_ns` tells the wall time, for the age of segments. Without a `disk` it
        is that of this machine.
        """
        self._durable, self._compress, self._now_ns = durable, compress, now_ns
        self._builder = BlockBuilder()
        self._unsafe: list[tuple[int, bytes]] = []  # blocks not known to be safe, by first number
        self._unwritten = 0  # how many of them, at the end, are yet to be written
        self._safe_size = 0  # how much of the segment is safe
        self._memory = Repetition()
        self._repeated: tuple[Record, ...] = ()  # what of it is safe
        self._segment: Segment | None = None
        self._file: DiskFile | None = None
        self.bytes_written = 0
        """Bytes written to the disk so far, those of packing included."""
        self._disk: Disk = SystemDisk() if disk is None else disk
        self._folder = Folder(folder, limits or Limits(), self._disk)
        try:
            self._number = next_number(self._disk.place(folder))
            self._folder.prune(now_ns())
        except BaseException:
            self._folder.close()
            raise

    @property
    def number(self) -> int:
        """The number that the next record will have in the journal."""
        return self._number + self._builder.count

    @property
    def dropped(self) -> Dropped:
        """What has gone because of the limits."""
        return self._folder.dropped

    @property
    def size(self) -> int:
        """How many bytes the journal has on disk."""
        return sum(segment.size for segment in self._folder.segments)

    def write(self, record: Record) -> None:
        """Take a record; raises OSError if earlier ones cannot be written yet."""
        if self._unwritten:
            self._write()
        self._builder.add(record)
        self._memory.see(record)
        if self._builder.size >= _BLOCK_BYTES or self._builder.count >= MAX_RECORDS:
            with suppress(OSError):  # it is taken; whoever comes next is told
                self._end_block()
                self._write()

    def flush(self) -> None:
        """Write what was taken and make it safe. Raises OSError; then it is still to be done."""
        self._end_block()
        self._write()
        if self._unsafe:
            self._make_safe()
        self._folder.prune(self._now_ns())

    def close(self) -> None:
        """Flush and let go of the folder. Raises OSError. Closing twice is harmless."""
        try:
            if self._builder.count or self._unsafe:
                self.flush()
        finally:
            self._leave_segment()
            self._folder.close()

    def _end_block(self) -> None:
        builder = self._builder
        if builder.count:
            block = builder.build(self._number)
            self._unsafe.append((self._number, block))
            self._unwritten += 1
            self._number += builder.count
            self._builder = BlockBuilder()

    def _write(self) -> None:
        try:
            while self._unwritten:
                segment = self._segment or self._begin_segment()
                self._put(segment, self._unsafe[-self._unwritten][1])
                self._unwritten -= 1
                full = segment.size >= self._folder.limits.segment_bytes
                if full or sum(len(block) for _, block in self._unsafe) >= _UNSAFE_BYTES:
                    self._make_safe()
                if full:
                    self._leave_segment()
                    self._pack(segment)
        except OSError:
            self._abandon()
            raise

    def _put(self, segment: Segment, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = self._opened().write(view)
            segment.size += written
            self.bytes_written += written
            view = view[written:]

    def _make_safe(self) -> None:
        try:
            if self._durable:
                self._opened().sync()
        except OSError:  # what was written since the last time may be lost: it is written again
            self._abandon()
            raise
        if self._segment is not None:
            self._safe_size = self._segment.size
        del self._unsafe[: len(self._unsafe) - self._unwritten]
        if not self._unsafe and not self._builder.count:
            self._repeated = self._memory.records

    def _pack(self, segment: Segment) -> None:
        """Pack a full segment; if that fails, it stays as it is, which is as good but larger."""
        if self._compress:
            with suppress(OSError):
                packed = pack(segment.path, durable=self._durable, disk=self._disk)
                before, segment.size = segment.size, packed
                self.bytes_written += segment.size if segment.size < before else 0
                self._folder.sync()

    def _begin_segment(self) -> Segment:
        segment = self._folder.begin()
        try:
            self._file = self._disk.create(segment.path)
        except OSError:
            self._folder.give_up(segment)
            raise
        self._segment, self._safe_size = segment, 0
        segment.begun_ns = self._now_ns()
        if self._durable:
            self._folder.sync()
        self._put(segment, SIGNATURE + self._repetition())
        return segment

    def _repetition(self) -> bytes:
        """Return the block that repeats what an earlier segment has."""
        builder = BlockBuilder()
        for record in self._repeated:
            builder.add(record)
        first, _ = self._unsafe[-self._unwritten]
        return builder.build(first, repeated=True) if builder.count else b""

    def _leave_segment(self) -> None:
        file, self._file, self._segment = self._file, None, None
        if file is not None:
            file.close()

    def _opened(self) -> DiskFile:
        assert self._file is not None, "a segment has been begun"
        return self._file

    def _abandon(self) -> None:
        """Leave a segment that cannot be written; what is not safe goes to another one."""
        self._unwritten = len(self._unsafe)
        segment = self._segment
        with suppress(OSError):
            if segment is not None and self._safe_size == 0:
                self._disk.remove(segment.path)
                self._folder.give_up(segment)
            elif segment is not None:
                self._opened().truncate(self._safe_size)
                segment.size = self._safe_size
        with suppress(OSError):
            self._leave_segment()
