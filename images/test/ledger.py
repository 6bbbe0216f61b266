"""The application of the power cuts: it keeps rows, and answers once a row is on the card."""

import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from edgekernel import Context, Message, Process, Runtime, Service, command

FILE = "/data/edgekernel/state/ledger.db"
SAFE = "/data/edgekernel/state/safe.json"


class Counted(Message):
    """An event for outbox and journal, and how many there were before it since the start."""

    number: int


class Ledger(Process):
    """Keeps rows in a database on the data partition."""

    name = "ledger"

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

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

    @command
    def safe(self) -> dict[str, Any]:
        """Return what the node says is safe by now."""
        return _safe(self._runtime)


class Counting(Service):
    """Emits events, and writes into a file what the node says is safe by then."""

    name = "counting"
    interval = 0.25

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def start(self, ctx: Context) -> None:
        """Begin with 0."""
        self._number = 0

    def tick(self, ctx: Context) -> None:
        """Emit the next one."""
        ctx.emit(Counted(self._number))
        self._number += 1
        with open(f"{SAFE}.new", "w") as file:
            json.dump(_safe(self._runtime), file)
        os.replace(f"{SAFE}.new", SAFE)


def _safe(runtime: Runtime) -> dict[str, Any]:
    """Return of this start of the agent how often the journal was committed, and up to which
    message the outbox promises them."""
    parts: Mapping[str, Any] = runtime.interfaces
    return {
        "commits": parts["journal"].counters()["commits"],
        "committed": parts["mqtt"].status()["outbox"]["committed"],
    }


def _open() -> sqlite3.Connection:
    database = sqlite3.connect(FILE)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, filling BLOB)")
    return database


def setup(runtime: Runtime) -> None:
    """Make the application."""
    runtime.register_process(Ledger(runtime))
    runtime.register_service(Counting(runtime))
