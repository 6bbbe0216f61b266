"""SQLite: records round-trip through a table that can be asked in SQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.journal import DatabaseSink, DatabaseSource
from edgekernel.journal.records import OpaqueRecord, Record
from tests.journal.records import BEGIN_NS, event, records

SECOND = 1_000_000_000


def written(path: Path, count: int, **options: int) -> Path:
    """Write events to a database and return its path."""
    sink = DatabaseSink(path, **options)
    for number in range(count):
        sink.write(event(number))
    sink.close()
    return path


@given(entries=st.lists(records, max_size=5))
def test_round_trip(entries: list[Record], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Records come back in order, numbered from 0."""
    path = tmp_path_factory.mktemp("database") / "journal.db"
    sink = DatabaseSink(path)
    for record in entries:
        sink.write(record)
    sink.close()
    sink.close()
    found = list(DatabaseSource(path).entries())
    assert [entry.record for entry in found] == entries
    assert [entry.number for entry in found] == list(range(len(entries)))


def test_flush_commits(tmp_path: Path) -> None:
    """Others see records after the flush and not before."""
    path = tmp_path / "journal.db"
    sink = DatabaseSink(path)
    sink.write(event(0))
    assert list(DatabaseSource(path).entries()) == []
    sink.flush()
    assert len(list(DatabaseSource(path).entries())) == 1
    sink.close()


def test_part_of_it(tmp_path: Path) -> None:
    """Reading can begin at a number, and be limited to a time."""
    path = written(tmp_path / "journal.db", 10)
    limits = {"since_ns": BEGIN_NS + 3 * SECOND, "until_ns": BEGIN_NS + 7 * SECOND}
    assert [e.number for e in DatabaseSource(path).entries(number=5, **limits)] == [5, 6]


def test_limit(tmp_path: Path) -> None:
    """With a limit the oldest records go; numbers go on."""
    path = written(tmp_path / "journal.db", 2500, max_records=100)
    found = [entry.number for entry in DatabaseSource(path).entries()]
    assert found == list(range(2400, 2500))


def test_in_sql(tmp_path: Path) -> None:
    """The table has type, times and JSON, for whoever asks in SQL."""
    path = written(tmp_path / "journal.db", 3)
    with closing(sqlite3.connect(path)) as database:
        query = "SELECT count(*), max(record ->> '$.payload.number') FROM records WHERE type = ?"
        assert database.execute(query, ["event"]).fetchall() == [(3, 2)]


def test_row_that_is_none(tmp_path: Path) -> None:
    """A row that is no record is opaque and counted."""
    path = written(tmp_path / "journal.db", 2)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE records SET record = 'nonsense' WHERE number = 1")
    source = DatabaseSource(path)
    bad, good = (entry.record for entry in source.entries())
    assert isinstance(bad, OpaqueRecord)
    assert good == event(1)
    assert source.unreadable.records == 1


def test_no_database(tmp_path: Path) -> None:
    """What is no database is an OSError that names it, for reading and for writing."""
    path = tmp_path / "journal.db"
    with pytest.raises(OSError, match=r"journal\.db"):
        list(DatabaseSource(path).entries())
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(OSError, match=r"journal\.db"):
        list(DatabaseSource(path).entries())
    with pytest.raises(OSError, match=r"journal\.db"):
        DatabaseSink(path)


def test_database_that_is_locked(tmp_path: Path) -> None:
    """A database that cannot be written is an OSError; what was taken is written later."""
    path = tmp_path / "journal.db"
    sink = DatabaseSink(path)
    sink._database.execute("PRAGMA busy_timeout = 0")
    sink.write(event(0))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OSError, match="locked"):
            sink.flush()
    sink.close()
    assert [entry.record for entry in DatabaseSource(path).entries()] == [event(0)]
