"""Which messages have to leave the file so that it keeps to its bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from edgekernel.mqtt.outbox.item import Aged, Item
from edgekernel.mqtt.outbox.lanes import FIRST
from edgekernel.mqtt.outbox.ledger import Batch, Ledger, Row
from edgekernel.mqtt.outbox.store import Store
from edgekernel.node.outbox_table import OutboxTable

_CHUNK = 256

Removed = list[tuple[Row, str]]
"""Rows with the cause for which they go."""


class Trimming:
    """Chooses rows that go. What is with the link stays, and nothing of the batch itself goes."""

    def __init__(self, store: Store, ledger: Ledger, table: OutboxTable) -> None:
        self._store = store
        self._ledger = ledger
        self._table = table
        self._max_age_ns = int(table.max_age * 1e9)

    def choose(self, batch: Batch, now_ns: int, *, by_age: bool) -> Removed:
        """Return the rows that go when a batch is written; they are claimed."""
        removed = list(self._rings(batch.items))
        gone = {row.position for row, _ in removed}
        if by_age:
            removed += [(row, "expired") for row in self._aged(now_ns, gone)]
        rows = self._store.rows + len(batch.items) - len(batch.acknowledged) - len(removed)
        size = self._store.size + sum(item.size for item in batch.items)
        size -= sum(row.size for row in batch.acknowledged.values())
        size -= sum(row.size for row, _ in removed)
        gone = {row.position for row, _ in removed}
        return removed + [(row, "full") for row in self._surplus(rows, size, gone)]

    def _rings(self, items: list[Item]) -> Iterator[tuple[Row, str]]:
        new = Counter(item.topic for item in items if item.keeping.limited)
        keepings = {item.topic: item.keeping for item in items}
        for topic, count in new.items():
            keeping = keepings[topic]
            surplus = self._store.beyond(topic, max(0, keeping.count - count))
            for row in self._ledger.claim(surplus):
                yield row, keeping.cause

    def _aged(self, now_ns: int, gone: set[int]) -> Iterator[Row]:
        after = FIRST
        while chunk := self._store.oldest(after, _CHUNK):
            old = [row for row, aged in chunk if self._is_old(aged, now_ns)]
            yield from self._ledger.claim(row for row in old if row.position not in gone)
            if len(old) < len(chunk):
                return
            after = old[-1].position

    def _surplus(self, rows: int, size: int, gone: set[int]) -> Iterator[Row]:
        after = FIRST
        while not self._fits(rows, size):
            chunk = [row for row, _ in self._store.oldest(after, _CHUNK)]
            if not chunk:
                return
            wanted = self._enough(chunk, rows, size)
            for row in self._ledger.claim(row for row in wanted if row.position not in gone):
                rows, size = rows - 1, size - row.size
                yield row
            after = wanted[-1].position

    def _enough(self, chunk: list[Row], rows: int, size: int) -> list[Row]:
        """Return the first of some rows, as many as have to go."""
        wanted = []
        for row in chunk:
            if self._fits(rows, size):
                break
            wanted.append(row)
            rows, size = rows - 1, size - row.size
        return wanted

    def _fits(self, rows: int, size: int) -> bool:
        return rows <= self._table.max_rows and size <= self._table.max_size

    def _is_old(self, aged: Aged, now_ns: int) -> bool:
        return self._ledger.ages.of(aged, now_ns) >= self._max_age_ns
