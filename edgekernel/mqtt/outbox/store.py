"""The file: messages that wait, as rows of SQLite. One thread uses it."""

from __future__ import annotations

import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgekernel.mqtt.outbox.boots import Boot
from edgekernel.mqtt.outbox.item import ROW_BYTES, Aged, Item
from edgekernel.mqtt.outbox.keeping import Rules
from edgekernel.mqtt.outbox.ledger import Batch, Row
from edgekernel.mqtt.outbox.schema import connect
from edgekernel.mqtt.outbox.trouble import sorted_out

_PAGE_ROWS = 200
_PAGE_BYTES = 1_000_000
_RETAIN, _STAMPED = 4, 8
_COLUMNS = "key, boot, monotonic_ns, time_ns, lifetime_ns, flags, limited, crc, topic, payload"
_SIZE = f"length(topic) + length(payload) + {ROW_BYTES}"


class Store:
    """Keeps messages until they are removed. What it cannot do raises StoreFailed or StoreDamaged.

    Positions count from the first message of the running boot, keys from the file's first.
    """

    def __init__(self, path: Path, boot: Boot, rules: Rules) -> None:
        """Name the file; `open` opens or makes it."""
        self.path = path
        self._boot = boot
        self._rules = rules
        self._database: sqlite3.Connection | None = None
        self._boots: dict[int, Boot] = {}
        self._rows_of_boots: dict[str, int] = {}
        self._based = False
        self.rows = 0
        self.size = 0
        self.topics: Counter[str] = Counter()
        """How many messages of each topic there were when it was opened."""

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._database is not None

    @property
    def boots(self) -> list[Boot]:
        """The boots whose messages are here."""
        return list(self._boots.values())

    def open(self) -> None:
        """Open or make the file, check it, and count what it holds."""
        self.close()
        with sorted_out():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._database = connect(self.path)
            self._read_boots()
            self._count()

    def close(self) -> None:
        """Close the file; harmless if it is closed."""
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def has(self, position: int) -> bool:
        """Say whether a message is in the file."""
        with sorted_out():
            found = "SELECT 1 FROM messages WHERE key = ?"
            return self._execute(found, position + self._boot.base).fetchone() is not None

    def commit(self, batch: Batch, removed: list[Row], dated: list[Boot]) -> None:
        """Write and remove messages, and the offsets of boots, in one transaction."""
        gone = [*batch.acknowledged.values(), *removed]
        with sorted_out():
            assert self._database is not None
            self._execute("BEGIN IMMEDIATE")
            try:
                self._remove(gone)
                self._insert(batch.items)
                for boot in dated:
                    self._execute(
                        "UPDATE boots SET offset_ns = ? WHERE id = ?", boot.offset_ns, boot.id
                    )
                self._execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.rollback()
                raise
        self.rows += len(batch.items) - len(gone)
        self.size += sum(item.size for item in batch.items) - sum(row.size for row in gone)

    def page(self, after: int) -> tuple[list[Item], list[Row], int | None]:
        """Return messages behind a position, rows that are damaged, and the last's position."""
        base = self._boot.base
        items: list[Item] = []
        damaged: list[Row] = []
        position, size = None, 0
        query = f"SELECT {_COLUMNS} FROM messages WHERE key > ? ORDER BY key LIMIT {_PAGE_ROWS}"
        with sorted_out():
            for row in self._execute(query, after + base):
                position = row[0] - base
                item = self._item(row)
                if item is None:
                    *_, topic, payload = row
                    size_of_row = len(topic) + len(payload) + ROW_BYTES
                    damaged.append(self._row(row[0], topic, size_of_row))
                else:
                    items.append(item)
                    size += item.size
                if size > _PAGE_BYTES:
                    break
        return items, damaged, position

    def oldest(self, after: int, limit: int) -> list[tuple[Row, Aged]]:
        """Return the oldest rows behind a position, each with what tells its age."""
        query = (
            f"SELECT key, topic, {_SIZE}, boot, monotonic_ns, time_ns FROM messages "
            f"WHERE key > ? ORDER BY key LIMIT {limit}"
        )
        with sorted_out():
            rows = self._execute(query, after + self._boot.base)
            return [
                (self._row(*row[:3]), Aged(self._boots.get(row[3], self._boot), *row[4:]))
                for row in rows
            ]

    def beyond(self, topic: str, keep: int) -> list[Row]:
        """Return the rows of a topic beside its latest."""
        query = (
            f"SELECT key, topic, {_SIZE} FROM messages WHERE topic = ? AND limited = 1 "
            "ORDER BY key DESC LIMIT -1 OFFSET ?"
        )
        with sorted_out():
            return [self._row(*row) for row in self._execute(query, topic.encode(), keep)]

    def _execute(self, query: str, *values: Any) -> sqlite3.Cursor:
        assert self._database is not None
        return self._database.execute(query, values)

    def _read_boots(self) -> None:
        """Find out who has written, and this boot's place behind them."""
        (last,) = self._execute("SELECT max(key) FROM messages").fetchone()
        if not self._based:
            self._boot.base, self._based = last or 0, True
        boots = self._execute("SELECT row, id, machine, offset_ns, base FROM boots")
        self._boots = {row: Boot(*rest) for row, *rest in boots}
        self._rows_of_boots = {boot.id: row for row, boot in self._boots.items()}
        if self._boot.id in self._rows_of_boots:
            self._boots[self._rows_of_boots[self._boot.id]] = self._boot

    def _count(self) -> None:
        self.topics.clear()
        self.rows = self.size = 0
        query = f"SELECT topic, count(*), sum({_SIZE}) FROM messages GROUP BY topic"
        for topic, rows, size in self._execute(query):
            self.topics[_text(topic)] += rows
            self.rows += rows
            self.size += size

    def _insert(self, items: list[Item]) -> None:
        for boot in {item.boot.id: item.boot for item in items}.values():
            if boot.id not in self._rows_of_boots:
                self._add_boot(boot)
        assert self._database is not None
        marks = ", ".join("?" * len(_COLUMNS.split(", ")))
        self._database.executemany(
            f"INSERT INTO messages ({_COLUMNS}) VALUES ({marks})", map(self._values, items)
        )

    def _add_boot(self, boot: Boot) -> None:
        """Note a boot, and forget those of which no message is left."""
        self._execute("DELETE FROM boots WHERE row NOT IN (SELECT boot FROM messages)")
        row = self._execute(
            "INSERT INTO boots (id, machine, offset_ns, base) VALUES (?, ?, ?, ?) RETURNING row",
            boot.id,
            boot.machine,
            boot.offset_ns,
            boot.base,
        ).fetchall()[0][0]
        self._boots[row] = boot
        self._rows_of_boots[boot.id] = row

    def _remove(self, rows: Iterable[Row]) -> None:
        assert self._database is not None
        keys = [(row.position + self._boot.base,) for row in rows]
        self._database.executemany("DELETE FROM messages WHERE key = ?", keys)

    def _values(self, item: Item) -> tuple[Any, ...]:
        topic = item.topic.encode()
        return (
            item.position + self._boot.base,
            self._rows_of_boots[item.boot.id],
            item.monotonic_ns,
            item.time_ns,
            item.lifetime_ns,
            item.qos | item.retain * _RETAIN | item.stamped * _STAMPED,
            int(item.keeping.limited),
            zlib.crc32(item.payload, zlib.crc32(topic)),
            topic,
            item.payload,
        )

    def _item(self, row: tuple[Any, ...]) -> Item | None:
        """Return a row as a message; None if it is damaged."""
        key, boot_row, monotonic_ns, time_ns, lifetime_ns, flags, _, crc, topic, payload = row
        boot = self._boots.get(boot_row)
        if boot is None or zlib.crc32(payload, zlib.crc32(topic)) != crc:
            return None
        name = _text(topic)
        return Item(
            position=key - self._boot.base,
            topic=name,
            payload=payload,
            qos=flags & 3,
            retain=bool(flags & _RETAIN),
            stamped=bool(flags & _STAMPED),
            keeping=self._rules.of(name),
            boot=boot,
            number=key - boot.base,
            monotonic_ns=monotonic_ns,
            time_ns=time_ns,
            lifetime_ns=lifetime_ns,
            stored=True,
        )

    def _row(self, key: int, topic: bytes, size: int) -> Row:
        return Row(key - self._boot.base, _text(topic), size)


def _text(topic: bytes) -> str:
    return topic.decode("utf-8", "replace")
