"""`[mqtt.outbox]`: what it may say, and what is wrong otherwise."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgekernel.core.errors import ConfigError
from edgekernel.node import make_plan
from edgekernel.node.outbox_table import OutboxPlace, OutboxTable, TopicRule


def read(text: str) -> OutboxTable:
    """Return the table of a file."""
    return OutboxTable.model_validate(tomllib.loads(text))


def test_everything() -> None:
    """Durations and sizes can be read; each topic has one rule."""
    table = read("""
        file = "waiting.db"
        commit_every = "2s"
        max_size = "1.5MB"
        max_rows = 1000
        max_age = "7d"
        max_payload = "64 KB"
        drain_messages = 20
        drain_size = "0B"
        queue_rows = 50
        queue_size = 5000
        queue_full = "drop-newest"
        topics = [
            { filter = "event/+", keep = "latest" },
            { filter = "data/#", ring = 100 },
        ]
    """)
    assert table.commit_every == 2.0
    assert (table.max_size, table.max_payload, table.drain_size) == (1_500_000, 64_000, 0)
    assert table.max_age == 7 * 86400
    assert table.topics == [
        TopicRule(filter="event/+", keep="latest"),
        TopicRule(filter="data/#", ring=100),
    ]


def test_nothing() -> None:
    """Without any key it keeps every message, a week long, and commits each second."""
    table = read("")
    assert (table.commit_every, table.max_age, table.topics) == (1.0, 604800.0, [])
    assert (table.max_size, table.queue_full) == (64_000_000, "drop-oldest")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('commit_every = "1d"', "a commit comes every 1ms to 1h"),
        ("commit_every = 0.0001", "a commit comes every 1ms to 1h"),
        ('max_size = "64 megabytes"', 'a size is a number of bytes or a text like "256KB"'),
        ('max_size = "1KB"', "greater than or equal to 10000"),
        ("max_rows = 0", "greater than or equal to 1"),
        ('queue_full = "block"', "drop-oldest"),
        ("topics = [{ filter = 'a/#' }]", "say either keep or ring"),
        ("topics = [{ filter = 'a', keep = 'all', ring = 3 }]", "say either keep or ring"),
        ("topics = [{ filter = 'a/#/b', keep = 'all' }]", "is no topic filter"),
        ("topics = [{ filter = 'a/b+', keep = 'all' }]", "is no topic filter"),
        ("topics = [{ filter = 'a', ring = 0 }]", "greater than or equal to 1"),
        ("commit = 1", "Extra inputs are not permitted"),
    ],
)
def test_mistakes(line: str, text: str) -> None:
    """A mistake says what is allowed."""
    with pytest.raises(ValidationError) as caught:
        read(line)
    messages: list[Any] = [error["msg"] for error in caught.value.errors()]
    assert text in " ".join(messages)


def test_place(tmp_path: Path) -> None:
    """It lies in the data folder, even without a table; without broker or folder there is none."""

    def place(text: str) -> OutboxPlace | None:
        path = tmp_path / "node.toml"
        path.write_text(f'[node]\nname = "n1"\nboard = "sim"\n{text}')
        return make_plan(path).outbox

    mqtt = '[mqtt]\nhost = "h"\n'
    assert place(f'data = "kept"\n{mqtt}') == (tmp_path / "kept" / "outbox.db", OutboxTable())
    named = f'data = "kept"\n{mqtt}[mqtt.outbox]\nfile = "/var/e.db"\nring = 1'
    with pytest.raises(ConfigError, match=r"mqtt\.outbox\.ring: unknown key; .*max_rows"):
        place(named)
    found = place(named.replace("\nring = 1", ""))
    assert found is not None
    assert found.path == Path("/var/e.db")
    assert place(mqtt) is None
    assert place('data = "kept"\n') is None
