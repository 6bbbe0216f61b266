"""The application of the power cuts: it keeps rows, and answers once a row is on the card."""

import sqlite3
from contextlib import closing
from typing import Any

from edgekernel import Process, Runtime, command

FILE = "/data/edgekernel/state/ledger.db"


class Ledger(Process):
    """Keeps rows in a database on the data partition."""

    name = "ledger"

    @command
    def add(self, row: int) -> int:
        """Keep a row; return it when it will not be lost any more."""
        with closing(_open()) as database, database:
            database.execute("INSERT INTO rows VALUES (?, randomblob(600))", (row,))
        return row

    @command
    def look(self) -> dict[str, Any]:
        """Return the rows that are there, and what SQLite says of its file."""
        with closing(_open()) as database:
            found = [row for (row,) in database.execute("SELECT id FROM rows ORDER BY id")]
            return {
                "rows": found,
                "check": database.execute("PRAGMA integrity_check").fetchone()[0],
            }


def _open() -> sqlite3.Connection:
    database = sqlite3.connect(FILE)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, filling BLOB)")
    return database


def setup(runtime: Runtime) -> None:
    """Make the application."""
    runtime.register_process(Ledger())
