"""SQLite: a record per row, for questions in SQL. Type, times and JSON text are the columns."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from edgekernel.journal.protocol import Entry, Unreadable
from edgekernel.journal.records import OpaqueRecord, Record
from edgekernel.journal.text import as_line, from_line

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    number INTEGER PRIMARY KEY,
    type TEXT NOT NULL,
    monotonic_ns INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS records_by_time ON records (time_ns);
"""
_MAX_WAITING = 1000
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1


class DatabaseSink:
    """Appends records to the table `records` of a database; a flush is a transaction.

    With `max_records` the oldest rows go when there are more.
    """

    def __init__(self, path: Path, *, max_records: int | None = None) -> None:
        """Open or make the database; raises OSError."""
        self._max_records = max_records
        self._waiting: list[tuple[str, int, int, str]] = []
        with ExitStack() as undo:
            try:
                self._database = sqlite3.connect(path, check_same_thread=False)
                undo.callback(self._database.close)
                self._database.executescript(f"PRAGMA journal_mode = WAL; {_SCHEMA}")
            except sqlite3.Error as error:
                raise OSError(f"{path}: {error}") from error
            undo.pop_all()

    def write(self, record: Record) -> None:
        """Take a record; it is in the database after the next `flush`. Raises OSError."""
        if len(self._waiting) >= _MAX_WAITING:
            self._insert()
        row = record.type, record.monotonic_ns, record.time_ns, as_line(record)
        self._waiting.append(row)

    def flush(self) -> None:
        """Commit; raises OSError, and then it is tried again by the next one."""
        if self._waiting:
            self._insert()

    def close(self) -> None:
        """Commit and close. Closing twice is harmless."""
        try:
            self.flush()
        finally:
            self._database.close()

    def _insert(self) -> None:
        row = "INSERT INTO records (type, monotonic_ns, time_ns, record) VALUES (?, ?, ?, ?)"
        try:
            with self._database:
                self._database.executemany(row, self._waiting)
                if self._max_records is not None:
                    newest = "SELECT max(number) FROM records"
                    self._database.execute(
                        f"DELETE FROM records WHERE number <= ({newest}) - ?",
                        [self._max_records],
                    )
        except sqlite3.Error as error:
            raise OSError(f"the database cannot be written: {error}") from error
        self._waiting.clear()


class DatabaseSource:
    """Reads the table `records` of a database; a row that is not understood is opaque."""

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
        """Return the entries from a number on, counted from 0, and from and before a wall time.

        Raises OSError if there is no such database.
        """
        self._unreadable = unreadable = Unreadable()
        query = (
            "SELECT number - 1, record FROM records WHERE number > ? AND time_ns >= ? "
            "AND time_ns < ? ORDER BY number"
        )
        limits = number, _LEAST if since_ns is None else since_ns, until_ns or _MOST
        try:
            uri = f"{self._path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True)) as database:
                for at, line in database.execute(query, limits):
                    record = from_line(line)
                    unreadable.records += isinstance(record, OpaqueRecord)
                    yield Entry(at, record)
        except sqlite3.Error as error:
            raise OSError(f"{self._path}: {error}") from error
