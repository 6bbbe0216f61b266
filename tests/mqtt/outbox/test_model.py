"""The outbox beside a simple model: whatever happens in whatever order, the promises hold."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from unittest import TestCase

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edgekernel import Message
from edgekernel.mqtt.outbox import Outbox, OutboxDropped, OutboxTable, TopicRule
from edgekernel.sim import SimClock
from tests.mqtt.outbox.conftest import number
from tests.mqtt.outbox.links import Broker, Got
from tests.mqtt.outbox.recording_vfs import FULL, IOERR_FSYNC, IOERR_WRITE, recording

TOPICS = ["all/a", "all/b", "latest/c", "ring/d", "none/e"]


class Model(RuleBasedStateMachine):
    """Knows of every message: accepted when, committed, taken by the broker, acknowledged."""

    table = OutboxTable(
        max_rows=12,
        max_size=10_000,
        max_age=60.0,
        queue_rows=8,
        drain_messages=10,
        topics=[
            TopicRule(filter="latest/+", keep="latest"),
            TopicRule(filter="ring/+", ring=3),
            TopicRule(filter="none/+", keep="none"),
        ],
    )

    fails = False
    """Whether the disk takes nothing now."""
    tight = True
    """Whether there is so little room that messages have to go."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.disk = self.stack.enter_context(recording())
        made = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.folder = Path(made)
        self.boots = 0
        self.accepted: dict[str, str] = {}
        self.got: list[Got] = []
        self.acknowledged: set[str] = set()
        self.safe: set[str] = set()
        self.dropped = 0
        self.begin(self.folder / "0")

    def begin(self, folder: Path) -> None:
        """Start an agent on the files of a folder."""
        self.life = self.stack.enter_context(ExitStack())
        self.folder = folder
        self.clock = self.life.enter_context(SimClock())
        self.told: list[Message] = []
        self.broker = Broker()
        self.up = False
        self.boots += 1
        self.boot = f"boot{self.boots}"
        self.accepted_now = 0
        self.outbox = Outbox(
            folder / "outbox.db",
            self.clock,
            boot=self.boot,
            table=self.table,
            tell=self.told.append,
        )
        self.outbox.start()
        self.clock.advance(0.001)

    @rule(
        topic=st.sampled_from(TOPICS), count=st.integers(1, 12), expires=st.sampled_from([None, 1])
    )
    def accept(self, topic: str, count: int, expires: float | None) -> None:
        """Give it messages."""
        topic = topic if self.tight else f"all/{topic}"
        for _ in range(count):
            self.accepted_now += 1
            id = f"{self.boot}-{self.accepted_now}"
            self.outbox.accept(topic, number(id), expires_s=expires if self.tight else None)
            self.accepted[id] = topic

    @rule(seconds=st.sampled_from([0.001, 0.06, 1.5, 70.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    @precondition(lambda self: not self.up)
    @rule()
    def link(self) -> None:
        """Bring the link up."""
        self.up = True
        self.outbox.up(self.broker)

    @precondition(lambda self: self.up)
    @rule(forgets=st.booleans())
    def unlink(self, forgets: bool) -> None:
        """Break the link; a link that forgets is another one the next time."""
        self.up = False
        self.outbox.down(forgets=forgets)
        if forgets:
            self.keep_got()
            self.broker = Broker()

    @rule(count=st.integers(1, 20))
    def acknowledge(self, count: int) -> None:
        """Acknowledge what the broker has got."""
        for got in self.broker.open[:count]:
            self.acknowledged.add(got.id)
        self.broker.acknowledge(min(count, len(self.broker.open)))

    @precondition(lambda self: not self.fails)
    @rule()
    def flush(self) -> None:
        """Have everything committed."""
        assert self.outbox.flush(10)
        assert self.outbox.committed == self.accepted_now

    @precondition(lambda self: not self.fails)
    @rule()
    def restart(self) -> None:
        """End the agent as it should, and start it again."""
        assert self.outbox.close()
        self.note()
        self.life.close()
        self.begin(self.folder)

    @rule()
    def crash(self) -> None:
        """Go on with the files as they are, without the agent having been told."""
        self.note()
        folder = self.folder.with_name(str(self.boots))
        shutil.copytree(self.folder, folder)
        self.life.close()
        self.begin(folder)

    def note(self) -> None:
        """Note what the running agent has done, before it is gone."""
        self.keep_got()
        numbers = range(1, self.outbox.committed + 1)
        self.safe |= {f"{self.boot}-{each}" for each in numbers}
        dropped = self.outbox.counters()["dropped"]
        assert isinstance(dropped, dict)
        self.dropped += sum(dropped.values())

    def keep_got(self) -> None:
        """Note what the broker has got."""
        self.got += self.broker.got
        self.broker.got = []

    @invariant()
    def accounts_balance(self) -> None:
        """Every message of this boot is waiting, delivered, or dropped and counted."""
        counters = self.outbox.counters()
        dropped = counters["dropped"]
        assert isinstance(dropped, dict)
        assert counters["accepted"] == self.accepted_now
        old = sum(1 for id in self.accepted if not id.startswith(f"{self.boot}-"))
        known = counters["delivered"] + self.outbox.waiting + sum(dropped.values())  # type: ignore[operator]
        assert self.accepted_now <= known <= self.accepted_now + old

    @invariant()
    def bounds_are_kept(self) -> None:
        """The file and memory have no more than they may; what is with the link does not count."""
        counters = self.outbox.counters()
        assert counters["unwritten"] <= self.table.queue_rows  # type: ignore[operator]
        waiting = counters["rows"] - counters["in_flight"]  # type: ignore[operator]
        assert waiting <= self.table.max_rows + self.table.queue_rows
        assert counters["in_flight"] <= 20  # type: ignore[operator]

    @invariant()
    def order_holds(self) -> None:
        """What arrives is what was accepted, in order within its topic but for repetitions."""
        topics: dict[str, list[str]] = defaultdict(list)
        for got in [*self.got, *self.broker.got]:
            assert got.fields["value"] == got.id
            assert self.accepted[got.id] == got.topic
            topics[got.topic].append(got.id)
        for ids in topics.values():
            first = [place(id) for id in dict.fromkeys(ids)]
            assert all(one < two for one, two in pairwise(first))

    def teardown(self) -> None:
        """Deliver what is left: nothing that was safe is missing, but for what was dropped."""
        try:
            self.outbox.up(self.broker)
            self.broker.acknowledge_all()
            self.clock.advance(20)
            assert self.outbox.waiting == 0
            assert self.outbox.close()
            self.note()
            self.order_holds()
            delivered = {got.id for got in self.got}
            kept = {id for id in self.safe if not self.accepted[id].startswith("none/")}
            missing = kept - delivered
            assert len(missing) <= self.dropped
            told = sum(m.dropped for m in self.told if isinstance(m, OutboxDropped))
            counters = self.outbox.counters()
            assert isinstance(counters["dropped"], dict)
            assert told == sum(n for c, n in counters["dropped"].items() if c != "superseded")
        finally:
            self.life.close()
            self.stack.close()


def place(id: str) -> tuple[int, int]:
    """Return the place of a message in the order of all boots."""
    boot, number = id.removeprefix("boot").split("-")
    return int(boot), int(number)


class Roomy(Model):
    """The same where there is room for everything: nothing is dropped, so nothing is missing."""

    table = OutboxTable(drain_messages=50, max_age=100_000.0)
    tight = False

    def teardown(self) -> None:
        """Check that everything that was safe has been delivered."""
        super().teardown()
        assert self.dropped == 0
        assert self.safe <= {got.id for got in self.got}


class Failing(Roomy):
    """The same on a disk that fails now and then."""

    @rule(error=st.sampled_from([FULL, IOERR_WRITE, IOERR_FSYNC]), steps=st.integers(0, 6))
    def fail(self, error: int, steps: int) -> None:
        """Let the disk fail, after some more steps."""
        self.fails = True
        first = self.disk.count + 1 + steps
        self.disk.failing = lambda step: error if step >= first else None

    @precondition(lambda self: self.fails)
    @rule()
    def mend(self) -> None:
        """Let the disk work again."""
        self.fails = False
        self.disk.failing = lambda step: None

    def teardown(self) -> None:
        """Check the same when the disk works again."""
        self.mend()
        self.clock.advance(40)
        super().teardown()


def often(machine: type[Model]) -> type[TestCase]:
    """Return the test case of a model."""
    case: type[TestCase] = machine.TestCase
    case.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)  # type: ignore[attr-defined]
    return case


TestOutboxWithLittleRoom = often(Model)
TestOutboxWithRoom = often(Roomy)
TestOutboxOnAFailingDisk = often(Failing)
