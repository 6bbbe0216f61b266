"""Writer: full disks, damaged files, and files of others. The node goes on."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import pytest

from edgekernel import Message
from edgekernel.mqtt.outbox import (
    OutboxDropped,
    OutboxFailed,
    OutboxRecovered,
    OutboxSetAside,
)
from edgekernel.sim import SimClock
from tests.mqtt.outbox.conftest import Open, number
from tests.mqtt.outbox.links import Broker
from tests.mqtt.outbox.recording_vfs import FULL, IOERR_WRITE, recording


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let the kernel refuse to make any file of this process larger (EFBIG)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def payload(value: int) -> bytes:
    """Return a payload of about 1 KB."""
    return b'{"value": %d, "filling": "%s"}' % (value, b"x" * 1000)


def test_disk_full(
    clock: SimClock, file: Path, broker: Broker, open_outbox: Open, told: list[Message]
) -> None:
    """When the file system takes no more, that is told once a spell, messages wait in memory, and
    with space it goes on; nothing is lost."""
    outbox = open_outbox()
    with files_up_to(200_000):
        for value in range(300):
            outbox.accept("t", payload(value))
            clock.advance(0.1)
        assert outbox.problem
        assert 0 < outbox.committed < 300
        assert [type(message) for message in told[-1:]] == [OutboxFailed]
    clock.advance(60)
    assert outbox.committed == 300
    assert outbox.problem == ""
    # While the log can still be emptied into the file it recovers, for a while.
    spells = len(told) // 2
    assert [type(message) for message in told] == [OutboxFailed, OutboxRecovered] * spells
    outbox.up(broker)
    broker.acknowledge_all()
    clock.advance(30)
    assert broker.values == list(range(300))


@pytest.mark.parametrize(
    ("when_full", "kept"), [("drop-oldest", range(280, 300)), ("drop-newest", range(20))]
)
def test_memory_full(
    when_full: str,
    kept: range,
    clock: SimClock,
    file: Path,
    broker: Broker,
    open_outbox: Open,
    told: list[Message],
) -> None:
    """What memory has no room for while the disk fails goes as the policy says, and is counted and
    told."""
    file.mkdir()  # what cannot be opened
    outbox = open_outbox(queue_rows=20, queue_full=when_full)
    for value in range(300):
        outbox.accept("t", number(value))
        clock.advance(0.01)
    assert outbox.counters()["dropped"] == {"queue": 280}
    file.rmdir()
    clock.advance(120)
    outbox.up(broker)
    broker.acknowledge_all()
    clock.advance(5)
    assert broker.values == list(kept)
    assert sum(m.dropped for m in told if isinstance(m, OutboxDropped)) == 280
    assert [type(m) for m in told if not isinstance(m, OutboxDropped)] == [
        OutboxFailed,
        OutboxRecovered,
    ]


@pytest.mark.parametrize("error", [FULL, IOERR_WRITE])
def test_drained_while_full(
    error: int, clock: SimClock, file: Path, broker: Broker, open_outbox: Open, told: list[Message]
) -> None:
    """A disk that takes nothing can still be read: what is in the file goes out, then what had to
    stay in memory, in order. When it takes something again, nothing comes twice."""
    with recording() as made:
        outbox = open_outbox(drain_messages=0)
        for value in range(500):
            outbox.accept("t", number(value))
        clock.advance(1)
        made.failing = lambda step: error
        for value in range(500, 1000):
            outbox.accept("t", number(value))
        clock.advance(100)
        assert outbox.committed == 500
        outbox.up(broker)
        broker.acknowledge_all()
        clock.advance(1)
        assert broker.values == list(range(1000))
        outbox.accept("t", number(1000))
        clock.advance(100)
        made.failing = lambda step: None
        clock.advance(100)
        assert outbox.counters()["rows"] == 0
        assert broker.values == list(range(1001))
        assert [type(message) for message in told] == [OutboxFailed, OutboxRecovered]
        assert outbox.close()


def test_works_again_while_it_is_drained(
    clock: SimClock, broker: Broker, open_outbox: Open
) -> None:
    """When the disk works again while messages go out from memory, the order holds, and nothing
    comes twice."""
    with recording() as made:
        outbox = open_outbox(drain_messages=100)
        made.failing = lambda step: FULL
        for value in range(500):
            outbox.accept("t", number(value))
        clock.advance(1)
        outbox.up(broker)
        clock.advance(0.5)
        assert 0 < len(broker.got) < 500
        broker.acknowledge(5)
        clock.advance(0.5)
        made.failing = lambda step: None
        clock.advance(60)
        assert outbox.committed == 500
        broker.acknowledge_all()
        clock.advance(10)
        assert broker.values == list(range(500))
        assert outbox.waiting == 0
        assert outbox.close()


def test_closed_without_a_disk(file: Path, open_outbox: Open, told: list[Message]) -> None:
    """What cannot be written before the end is counted and told."""
    file.mkdir()
    outbox = open_outbox()
    for value in range(3):
        outbox.accept("t", number(value))
    assert outbox.close()
    assert told[1:] == [OutboxDropped(3, "closed")]
    assert outbox.waiting == 0


def test_live_without_a_disk(
    clock: SimClock, file: Path, broker: Broker, open_outbox: Open
) -> None:
    """When the file could not be opened for a minute, what has a link goes out without it: first
    what has waited, then what is new, at once."""
    file.mkdir()
    outbox = open_outbox()
    outbox.up(broker)
    broker.acknowledge_all()
    for value in range(-30, 0):
        outbox.accept("t", number(value))
    clock.advance(50)
    assert broker.values == []
    clock.advance(50)
    assert broker.values == list(range(-30, 0))
    for value in range(10):
        outbox.accept("t", number(value))
        clock.advance(0.01)
    assert broker.values == list(range(-30, 10))
    assert outbox.waiting == 0


def damage_anywhere(file: Path, seed: int) -> None:
    """Overwrite a part of a file with noise, its header too."""
    chance = Random(seed)
    content = bytearray(file.read_bytes())
    content[0:16] = b"SQLite format 3\x00" if seed % 2 else chance.randbytes(16)
    for _ in range(20):
        at = chance.randrange(100, len(content) - 64)
        content[at : at + 64] = chance.randbytes(64)
    file.write_bytes(content)


@pytest.mark.parametrize("seed", range(6))
def test_damaged_file(
    seed: int,
    clock: SimClock,
    file: Path,
    broker: Broker,
    open_outbox: Open,
    told: list[Message],
) -> None:
    """A damaged file is set aside with its content and told of; the node goes on with a new one."""
    outbox = open_outbox()
    for value in range(200):
        outbox.accept("t", payload(value))
    assert outbox.close()
    damage_anywhere(file, seed)
    damaged = file.read_bytes()
    outbox = open_outbox()
    outbox.accept("t", number(1000))
    clock.advance(1)
    (message,) = told
    assert isinstance(message, OutboxSetAside)
    assert message.kept_as == "outbox.db.aside-20260101T000000Z"
    assert file.with_name(message.kept_as).read_bytes() == damaged
    assert outbox.committed == 1
    outbox.up(broker)
    broker.acknowledge_all()
    clock.advance(1)
    assert broker.values == [1000]


def test_damaged_while_in_use(
    clock: SimClock, file: Path, broker: Broker, open_outbox: Open, told: list[Message]
) -> None:
    """A file that is damaged while it is used is set aside; what memory still has is written again,
    and what is lost is counted."""
    outbox = open_outbox(queue_size=10_000_000)
    for value in range(6000):
        outbox.accept("t", payload(value))
    assert outbox.close()
    outbox = open_outbox(drain_messages=0, drain_size=0)
    outbox.up(broker)
    clock.advance(1)
    with file.open("r+b") as damaged:  # where SQLite's cache of 2 MB does not reach
        damaged.seek(1_000_000)
        damaged.write(Random(1).randbytes(4_000_000))
    broker.acknowledge_all()
    clock.advance(10)
    outbox.accept("t", number(6000))
    clock.advance(60)
    dropped = outbox.counters()["dropped"]
    assert isinstance(dropped, dict)
    (aside,) = [message for message in told if isinstance(message, OutboxSetAside)]
    assert aside.lost == dropped["damaged"] > 3000
    assert outbox.waiting == 0
    assert broker.values[-1] == 6000
    assert len(set(broker.values)) + dropped["damaged"] == 6001


def test_damaged_row(
    clock: SimClock, file: Path, broker: Broker, open_outbox: Open, told: list[Message]
) -> None:
    """A row whose content has changed on the disk is not sent, but counted; the others are."""
    outbox = open_outbox()
    for value in range(100):
        outbox.accept("t", number(value))
    assert outbox.close()
    content = file.read_bytes()
    file.write_bytes(content.replace(b'{"value": 42}', b'{"value": 24}'))
    outbox = open_outbox()
    outbox.up(broker)
    broker.acknowledge_all()
    clock.advance(1)
    assert broker.values == [value for value in range(100) if value != 42]
    outbox.accept("t", number(100))
    clock.advance(0.001)
    assert broker.values[-1] == 100
    clock.advance(5)
    assert told == [OutboxDropped(1, "damaged")]
    assert outbox.counters()["rows"] == 0


@pytest.mark.parametrize("version", [0, 2, 99])
def test_other_version(
    version: int, clock: SimClock, file: Path, open_outbox: Open, told: list[Message]
) -> None:
    """A file of another version is set aside, whole: the program of that version can read it."""
    outbox = open_outbox()
    outbox.accept("t", number(1))
    assert outbox.close()
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"PRAGMA user_version = {version}")
    outbox = open_outbox()
    clock.advance(1)
    (message,) = told
    assert isinstance(message, OutboxSetAside)
    assert message.reason == f"it has the format {version}, and this program knows 1"
    with closing(sqlite3.connect(file.with_name(message.kept_as))) as database:
        assert database.execute("SELECT count(*) FROM messages").fetchone() == (1,)
    assert outbox.problem == ""


def test_somebody_elses_database(
    clock: SimClock, file: Path, open_outbox: Open, told: list[Message]
) -> None:
    """A database of something else is set aside, not written into."""
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE notes (text)")
    outbox = open_outbox()
    clock.advance(1)
    assert isinstance(told[0], OutboxSetAside)
    assert told[0].reason == "it is a database of something else"
    assert outbox.problem == ""


def test_three_are_kept(
    clock: SimClock, file: Path, open_outbox: Open, told: list[Message]
) -> None:
    """Of the files that were set aside the latest three are kept."""
    for _ in range(5):
        clock.advance(3600)
        file.write_bytes(b"no database" * 1000)
        open_outbox().close()
    assert len(told) == 5
    kept = sorted(each.name for each in file.parent.glob("*.aside-*"))
    assert kept == [m.kept_as for m in told if isinstance(m, OutboxSetAside)][2:]


def test_two_agents(
    clock: SimClock, file: Path, broker: Broker, open_outbox: Open, told: list[Message]
) -> None:
    """A second agent on the same file waits for the first to end; nothing is mixed up or lost."""
    first = open_outbox(boot="first")
    first.accept("t", number(1))
    clock.advance(1)
    second = open_outbox(boot="second")
    second.accept("t", number(2))
    clock.advance(1)
    assert second.problem == "database is locked"
    assert first.close()
    clock.advance(60)
    assert second.problem == ""
    second.up(broker)
    broker.acknowledge_all()
    clock.advance(1)
    assert broker.ids() == ["first-1", "second-1"]
    assert [type(message) for message in told] == [OutboxFailed, OutboxRecovered]
