"""Store: rows in order, pages of them, and the boots they belong to."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edgekernel.mqtt.outbox.boots import Boot
from edgekernel.mqtt.outbox.item import Item
from edgekernel.mqtt.outbox.keeping import Rules
from edgekernel.mqtt.outbox.lanes import FIRST
from edgekernel.mqtt.outbox.ledger import Batch, Row
from edgekernel.mqtt.outbox.store import Store
from edgekernel.mqtt.outbox.trouble import StoreDamaged, StoreFailed
from edgekernel.node.outbox_table import TopicRule

RULES = Rules([TopicRule(filter="ring", ring=3)])


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    """A store of a first boot, open."""
    store = Store(file, Boot("one", "machine"), RULES)
    store.open()
    yield store
    store.close()


def item(store: Store, position: int, topic: str = "t", payload: bytes = b"{}") -> Item:
    """Return a message of a store's boot."""
    return Item(
        position=position,
        topic=topic,
        payload=payload,
        qos=1,
        retain=position % 2 == 0,
        stamped=position % 3 == 0,
        keeping=RULES.of(topic),
        boot=store._boot,
        number=position,
        monotonic_ns=position * 10,
        time_ns=None if position == 1 else position,
        lifetime_ns=position if position == 2 else None,
    )


def put(store: Store, items: list[Item]) -> None:
    """Commit messages."""
    store.commit(Batch(items, {}, False), [], [])


def test_as_it_was(store: Store) -> None:
    """A message comes back as it was, and knows that it is stored."""
    items = [item(store, position, topic) for position, topic in enumerate("abß", start=1)]
    put(store, items)
    read, damaged, cursor = store.page(FIRST)
    assert (damaged, cursor) == ([], 3)
    for one, two in zip(read, items, strict=True):
        two.stored = True
        fields = [name for name in Item.__slots__ if name not in ("boot", "keeping")]
        assert [getattr(one, f) for f in fields] == [getattr(two, f) for f in fields]
        assert (one.id, one.size, one.keeping) == (two.id, two.size, two.keeping)


def test_pages(store: Store) -> None:
    """A page has at most 200 rows and about a megabyte, and the next goes on behind it."""
    put(store, [item(store, position) for position in range(1, 251)])
    put(store, [item(store, position, payload=bytes(100_000)) for position in range(251, 271)])
    sizes = []
    after: int | None = FIRST
    while after is not None:
        items, _, after = store.page(after)
        sizes.append(len(items))
    assert sizes == [200, 60, 10, 0]


def test_counts(store: Store, file: Path) -> None:
    """Rows and bytes are known while it is open as well as when it is opened again."""
    items = [item(store, position, "ab"[position % 2]) for position in range(1, 11)]
    put(store, items)
    rows = [Row(each.position, each.topic, each.size) for each in items[:3]]
    store.commit(Batch([], {1: rows[0]}, False), rows[1:], [])
    before = store.rows, store.size
    store.open()
    assert (store.rows, store.size) == before == (7, 7 * items[0].size)
    assert store.topics == {"a": 4, "b": 3}
    assert store.has(4)
    assert not store.has(3)


def test_beyond(store: Store) -> None:
    """Of a topic with a limit the rows beside the latest are found."""
    put(store, [item(store, position, "ring") for position in range(1, 8)])
    assert sorted(row.position for row in store.beyond("ring", 3)) == [1, 2, 3, 4]
    assert store.beyond("ring", 7) == []


def test_boots(store: Store, file: Path) -> None:
    """Positions count from each boot's first message, and boots without messages are forgotten."""
    put(store, [item(store, 1), item(store, 2)])
    store.close()
    second = Store(file, Boot("two", "machine"), RULES)
    second.open()
    assert [(each.position, each.id) for each in second.page(FIRST)[0]] == [
        (-1, "one-1"),
        (0, "one-2"),
    ]
    old = [Row(each.position, each.topic, each.size) for each in second.page(FIRST)[0]]
    second.commit(Batch([], {row.position: row for row in old}, False), [], [])
    put(second, [item(second, 1)])
    second.close()
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT id FROM boots").fetchall() == [("two",)]


def test_all_or_nothing(store: Store) -> None:
    """A commit that fails leaves the file as it was."""
    put(store, [item(store, 1)])
    with pytest.raises(StoreDamaged, match="UNIQUE"):
        put(store, [item(store, 2), item(store, 1)])
    assert [each.position for each in store.page(FIRST)[0]] == [1]
    assert store.rows == 1


def test_no_file(tmp_path: Path) -> None:
    """What cannot be opened says why; a folder that is missing is made."""
    with pytest.raises(StoreFailed, match="unable to open database file"):
        Store(tmp_path, Boot("one", "machine"), RULES).open()
    store = Store(tmp_path / "deep/er/outbox.db", Boot("one", "machine"), RULES)
    store.open()
    store.close()
    assert (tmp_path / "deep/er/outbox.db").exists()
