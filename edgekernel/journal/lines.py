"""JSON lines: a record per line, in a file or on a terminal, for export: its size has no limit."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from edgekernel.journal.protocol import Entry, Unreadable
from edgekernel.journal.records import OpaqueRecord, Record
from edgekernel.journal.text import as_line, from_line


class ConsoleSink:
    """Writes each record as a line, at once: to standard output, or another stream.

    `shown` makes the line; without it that is JSON, which `LinesSource` reads.
    """

    def __init__(
        self, stream: TextIO | None = None, shown: Callable[[Record], str] = as_line
    ) -> None:
        self._stream = stream or sys.stdout
        self._shown = shown

    def write(self, record: Record) -> None:
        """Write a line; raises OSError, such as when nobody reads any more."""
        self._stream.write(f"{self._shown(record)}\n")

    def flush(self) -> None:
        """Let nothing wait in this process."""
        self._stream.flush()

    def close(self) -> None:
        """Flush; the stream stays open."""
        self._stream.flush()


class LinesSink:
    """Appends each record as a line of JSON to a file."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; raises OSError."""
        self._file = path.open("a", encoding="ascii")

    def write(self, record: Record) -> None:
        """Write a line, which may wait in this process until the next `flush`."""
        self._file.write(f"{as_line(record)}\n")

    def flush(self) -> None:
        """Make it safe."""
        self._file.flush()
        os.fdatasync(self._file.fileno())

    def close(self) -> None:
        """Flush and close the file. Closing twice is harmless."""
        if not self._file.closed:
            try:
                self.flush()
            finally:
                self._file.close()


class LinesSource:
    """Reads a file of such lines; one that is not understood is opaque."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unreadable = Unreadable()

    @property
    def unreadable(self) -> Unreadable:
        """What could not be read in the latest reading."""
        return self._unreadable

    def entries(
        self, *, number: int = 0, since_ns: int | None = None, until_ns: int | None = None
    ) -> Iterator[Entry]:
        """Return the entries from a line on, counted from 0, and from and before a wall time."""
        self._unreadable = unreadable = Unreadable()
        with self._path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            for at, line in enumerate(file):
                if at < number or not line.strip():
                    continue
                record = from_line(line)
                unreadable.records += isinstance(record, OpaqueRecord)
                if since_ns is not None and record.time_ns < since_ns:
                    continue
                if until_ns is not None and record.time_ns >= until_ns:
                    continue
                yield Entry(at, record)
