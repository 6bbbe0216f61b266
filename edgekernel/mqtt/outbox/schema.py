"""The tables of the file, and how a connection to it is set up."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from edgekernel.mqtt.outbox.trouble import StoreDamaged, StoreFailed

VERSION = 1
_APPLICATION = 0x656B_6F62
"""Marks the file as an outbox: the letters "ekob"."""

_TABLES = f"""
CREATE TABLE boots (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    machine TEXT NOT NULL,
    base INTEGER NOT NULL,
    offset_ns INTEGER
) STRICT;
CREATE TABLE messages (
    key INTEGER PRIMARY KEY,
    boot INTEGER NOT NULL,
    monotonic_ns INTEGER NOT NULL,
    time_ns INTEGER,
    lifetime_ns INTEGER,
    flags INTEGER NOT NULL,
    limited INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    topic BLOB NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE INDEX limited_by_topic ON messages (topic, key) WHERE limited = 1;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {VERSION};
"""

# Exclusive: two agents cannot share a file, and there is no -shm file to be written. secure_delete
# would overwrite what is removed: once more the same wear, for nothing.
_SETTINGS = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = OFF;
PRAGMA journal_size_limit = 4194304;
PRAGMA temp_store = MEMORY;
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open or make the file; raises sqlite3.Error, StoreDamaged or StoreFailed."""
    database = sqlite3.connect(path, isolation_level=None, timeout=0.0)
    try:
        database.executescript(_SETTINGS)
        (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreFailed(f"it cannot be used with a write-ahead log: {mode}")
        _check(database)
    except BaseException:
        database.close()
        raise
    return database


def _check(database: sqlite3.Connection) -> None:
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if not tables and not version:
        database.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
    elif application != _APPLICATION:
        raise StoreDamaged("it is a database of something else")
    elif version != VERSION:
        raise StoreDamaged(f"it has the format {version}, and this program knows {VERSION}")
    (answer,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        raise StoreDamaged(str(answer))
