"""A crash at every single write: what was called safe is delivered, in order, once by its id."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from edgekernel import Message
from edgekernel.mqtt.outbox import Outbox, OutboxFailed, OutboxRecovered, OutboxTable, TopicRule
from edgekernel.sim import SimClock
from tests.mqtt.outbox.conftest import number
from tests.mqtt.outbox.links import Broker
from tests.mqtt.outbox.recording_vfs import (
    FULL,
    IOERR_FSYNC,
    IOERR_WRITE,
    Files,
    Recording,
    put,
    recording,
)

RING = 5
RULES = [TopicRule(filter="ring/#", ring=RING)]
TABLE = OutboxTable(commit_every=0.05, drain_messages=0, topics=RULES)
TOPICS = ("all/a", "all/b", "ring/c")


class Seen(NamedTuple):
    """How things stood at a step."""

    accepted: int
    committed: int
    acknowledged: frozenset[int]


class Work:
    """Gives an outbox messages and acknowledges some, as a seed will have it."""

    def __init__(self, file: Path, seed: int) -> None:
        self.chance = Random(seed)
        self.file = file
        self.broker = Broker()
        self.topics: dict[int, str] = {}
        self.told: list[Message] = []
        self.outbox: Outbox | None = None

    def see(self) -> Seen:
        """Say how things stand."""
        assert self.outbox is not None
        taken = {got.fields["value"] for got in self.broker.got}
        done = taken - {got.fields["value"] for got in self.broker.open}
        return Seen(len(self.topics), self.outbox.committed, frozenset(done))

    def run(self, rounds: int) -> None:
        """Do so many rounds, and close."""
        with SimClock() as clock:
            self.outbox = outbox = Outbox(
                self.file, clock, boot="first", table=TABLE, tell=self.told.append
            )
            outbox.start()
            for _ in range(rounds):
                self.give(self.chance.randrange(6))
                if self.chance.random() < 0.7:
                    outbox.up(self.broker)
                else:
                    outbox.down()
                clock.advance(self.chance.choice([0.01, 0.06, 1.2]))
                self.broker.acknowledge(self.chance.randrange(len(self.broker.open) + 1))
            assert outbox.close()

    def give(self, count: int) -> None:
        """Give the outbox messages; each says its position."""
        assert self.outbox is not None
        for _ in range(count):
            position = len(self.topics) + 1
            self.topics[position] = topic = self.chance.choice(TOPICS)
            filling = "x" * self.chance.choice([0, 0, 0, 6000])
            payload = json.dumps({"value": position, "filling": filling}).encode()
            assert self.outbox.accept(topic, payload) == position


def recover(files: Files, folder: Path) -> Broker:
    """Start an outbox on files, let it deliver everything, and return who has got it."""
    put(files, folder)
    broker, told = Broker(), list[Message]()
    broker.at_once = True
    with SimClock() as clock:
        outbox = Outbox(folder / "outbox.db", clock, boot="second", table=TABLE, tell=told.append)
        outbox.start()
        outbox.up(broker)
        clock.advance(5)
        assert outbox.waiting == 0
        assert outbox.close()
    assert told == []
    return broker


def check(broker: Broker, seen: Seen, topics: dict[int, str]) -> int:
    """Check what was delivered after a crash; return how many duplicates there are."""
    values = broker.values
    assert broker.ids() == [f"first-{value}" for value in values]
    assert len(set(values)) == len(values)
    assert set(values) <= set(range(1, seen.accepted + 1))
    assert [got.topic for got in broker.got] == [topics[value] for value in values]
    for each in broker.by_topic().values():
        assert all(one < two for one, two in pairwise(each))
    safe = set(range(1, seen.committed + 1)) - seen.acknowledged
    lost = safe - set(values)
    assert all(topics[position].startswith("ring/") for position in lost)
    there = max([seen.committed, *values])
    ring = [p for p in range(1, there + 1) if topics[p].startswith("ring/")]
    assert lost.isdisjoint(ring[-RING:])  # the others had to make room for these
    return len(seen.acknowledged & set(values))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recording, Work]:
    """The steps of some work."""
    file = tmp_path_factory.mktemp("work") / "outbox.db"
    with recording() as made:
        work = Work(file, seed=1)
        made.see = work.see
        work.run(rounds=25)
    return made, work


def ends(made: Recording, count: int) -> list[int | None]:
    """Return at which bytes the last of so many steps is torn; None: it is whole."""
    last = made.steps[count - 1]
    if last.kind != "write":
        return [None]
    return [None, 1, len(last.data) // 2]


def images(made: Recording) -> Iterator[tuple[int, Files]]:
    """Return the files after every step, the last of them whole or torn."""
    for count in range(1, len(made.steps) + 1):
        for torn in ends(made, count):
            yield count, made.after(count, torn=torn)


def power_cuts(made: Recording) -> Iterator[tuple[int, Files]]:
    """Return the files after every step, with only some of what was not synced."""
    chance = Random(2)
    for count in range(1, len(made.steps) + 1):
        kept = {number for number in range(count) if chance.random() < 0.5}
        yield count, made.after_power_cut(count, lambda number: False)
        yield count, made.after_power_cut(count, kept.__contains__)


@pytest.mark.parametrize("crash", [images, power_cuts], ids=["killed", "power cut"])
def test_crash_at_every_write(
    crash: Callable[[Recording], Iterator[tuple[int, Files]]],
    recorded: tuple[Recording, Work],
    tmp_path: Path,
) -> None:
    """Whatever the step at which the agent is killed or the power is cut, also in the middle of a
    write: the file is whole, all that was called safe is delivered in order, nothing twice."""
    made, work = recorded
    duplicates = tried = 0
    before = Seen(0, 0, frozenset())
    for number_of_steps, files in crash(made):
        seen = made.steps[number_of_steps - 1].seen
        broker = recover(files, tmp_path / str(tried))
        after = made.steps[number_of_steps].seen if number_of_steps < len(made.steps) else seen
        assert before.committed <= seen.committed <= after.committed
        duplicates += check(broker, seen, work.topics)
        tried += 1
    print(f"{tried} crashes, {len(work.topics)} messages, {duplicates} duplicates by id")  # noqa: T201
    assert tried > len(made.steps) > 100


@pytest.mark.parametrize("error", [FULL, IOERR_WRITE, IOERR_FSYNC])
@pytest.mark.parametrize("length", [1, 7, 40])
def test_failing_at_every_write(error: int, length: int, tmp_path: Path) -> None:
    """Whatever the step at which the disk begins to fail, and for how long: nothing is lost, the
    order holds, and it is told once that it fails and once that it works again."""
    for first in range(1, 70, 4 if length == 1 else 17):
        with recording() as made:
            failing = range(first, first + length)
            made.failing = dict.fromkeys(failing, error).get
            told = deliver(tmp_path / str(first))
        failed = bool(made.failures)
        assert [type(message) for message in told] == [OutboxFailed, OutboxRecovered] * failed


def deliver(folder: Path) -> list[Message]:
    """Give an outbox 25 messages, and a link when all are safe; return what it has told."""
    told: list[Message] = []
    broker = Broker()
    with SimClock() as clock:
        outbox = Outbox(folder / "outbox.db", clock, boot="b", table=TABLE, tell=told.append)
        outbox.start()
        for value in range(25):
            outbox.accept("all/a", number(value))
            clock.advance(0.06)
        clock.advance(2000)
        assert outbox.committed == 25
        outbox.up(broker)
        broker.acknowledge_all()
        clock.advance(5)
        assert broker.values == list(range(25))
        assert outbox.waiting == 0
        assert outbox.close()
    return told
