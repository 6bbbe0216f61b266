"""The ledger: where every message stands, under one lock that is held for moments only."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.core.messages import Message
from edgekernel.mqtt.outbox.boots import Boot
from edgekernel.mqtt.outbox.drops import Drops
from edgekernel.mqtt.outbox.item import Ages, Item, Stage
from edgekernel.mqtt.outbox.lanes import Lanes
from edgekernel.mqtt.outbox.link import Link
from edgekernel.mqtt.outbox.pacing import Pace
from edgekernel.mqtt.outbox.unwritten import Unwritten
from edgekernel.node.outbox_table import OutboxTable


class Row(NamedTuple):
    """A message in the file, as far as is needed to remove it."""

    position: int
    topic: str
    size: int


class Batch(NamedTuple):
    """What one commit has to do."""

    items: list[Item]
    acknowledged: dict[int, Row]
    """In the file, and done with."""
    more: bool
    """Whether further items wait to be written."""


class Taken(NamedTuple):
    """What is to be sent, and over which link."""

    item: Item
    link: Link


class Pending(NamedTuple):
    """What waits to be written or removed."""

    oldest_ns: int | None
    """Since when the oldest message waits to be written."""
    half_full: bool
    """Whether the queue needs to be emptied, whatever the interval."""
    deletes: bool
    starved: bool
    """Whether the link has room for messages that it can have only when they are written."""


class Ledger:
    """Knows of every message that has not been delivered. Every method is for any thread."""

    def __init__(self, clock: Clock, boot: Boot, table: OutboxTable) -> None:
        # A finalizer that emits may come between, so it is one that its holder can take again.
        self._lock = threading.RLock()
        self._clock = clock
        self._unwritten = Unwritten(table.queue_rows, table.queue_size, table.queue_full)
        self._lanes = Lanes(table.queue_rows, table.queue_size)
        self._pace = Pace(table.drain_messages, table.drain_size)
        self._deletes: dict[int, Row] = {}
        self._waiters: list[tuple[int, Callable[[], object]]] = []
        self._link: Link | None = None
        self._last = 0
        self._boot = boot
        self._writer_rests = False  # and is to be woken when there is something to do
        self._max_age_ns = int(table.max_age * 1e9)
        self.ages = Ages(boot, clock.monotonic_ns())
        self.drops = Drops()
        self.file_works = False
        """Whether commits succeed; while they do not, memory holds what cannot be written."""
        self.sender_wakes = clock.Event()
        self.writer_wakes = clock.Event()
        self.accepted = self.delivered = self.spared = 0
        """Messages that were accepted, acknowledged, and acknowledged before they were written."""

    # For those who give messages.

    def accept(self, item: Item) -> bool:
        """Take a new message and give it its position; False if it was dropped at once."""
        with self._lock:
            self.accepted += 1
            self._last += 1
            item.position = item.number = self._last
            if not self._admit(item):
                return False
            self._lanes.enter(item)
            if item.keeping.count:
                self._unwritten.add(item)
            elif item.stage is not Stage.LIVE:
                self._drop(item, "not kept")
                return False
            if item.stage is Stage.LIVE and len(self._lanes.live) == 1:
                self.sender_wakes.set()
            pressed = self.file_works and self._unwritten.half_full
            waits = item.stage is Stage.BEHIND and self._is_starved
            if self._writer_rests or pressed or waits:
                self._wake_writer()
            return True

    def refuse(self, cause: str) -> None:
        """Count a message that is not even taken."""
        with self._lock:
            self.accepted += 1
            self.drops.count(cause)

    @property
    def last(self) -> int:
        """The position of the message accepted last."""
        return self._last

    @property
    def committed(self) -> int:
        """Up to this position everything is in the file, acknowledged, or dropped and counted."""
        with self._lock:
            oldest = self._unwritten.oldest
            return self._last if oldest is None else oldest.position - 1

    def when_committed(self, position: int, call: Callable[[], object]) -> None:
        """Call when everything up to a position is committed, and the file was looked at."""
        with self._lock:
            self._waiters.append((position, call))
        self._tell_waiters()

    # For the link and for who sends.

    def up(self, link: Link) -> None:
        """Send over a link from now on."""
        with self._lock:
            self._link = link
            self._lanes.up = True
            self.writer_wakes.set()
            self.sender_wakes.set()

    def down(self, forgets: bool) -> None:
        """Send nothing; with `forgets`, what was with the link is to be sent again."""
        with self._lock:
            for item in self._lanes.down(forgets):
                if not item.keeping.count:
                    self._drop(item, "not kept")

    def take(self) -> Taken | int:
        """Return what to send now, or how many nanoseconds it takes until there is something.

        0 if that is not known: `sender_wakes` tells.
        """
        with self._lock:
            if self._link is None or not self._lanes.up:
                return 0
            while (item := self._lanes.next_live()) is not None:
                if not self._too_old(item):
                    return Taken(item, self._link)
            while (item := self._next_behind()) is not None:
                now_ns = self._clock.monotonic_ns()
                if wait_ns := self._pace.wait_ns(now_ns):
                    return wait_ns
                self._lanes.take_behind()
                if not self._too_old(item):
                    self._pace.passed(item.size, now_ns)
                    return Taken(item, self._link)
            if self._lanes.wants_page:
                self.writer_wakes.set()
            return 0

    def left_s(self, item: Item) -> int:
        """Return for how many seconds a message is still of use, at least 1."""
        return max(1, -(-self._left_ns(item) // NANOSECONDS))

    def put_back(self, item: Item) -> None:
        """Have what was taken sent later after all."""
        with self._lock:
            if item.stage is Stage.FLIGHT and self._lanes.flight.get(item.position) is item:
                self._lanes.put_back(item)

    def acknowledged(self, item: Item) -> None:
        """The broker has a message."""
        with self._lock:
            if item.stage is not Stage.FLIGHT:
                return  # forgotten by the link, and to be sent again
            self.delivered += 1
            self.spared += item.keeping.count > 0 and not item.stored
            self._done(item)
            self.sender_wakes.set()
        self._tell_waiters()

    def unsendable(self, item: Item) -> None:
        """The link or the broker does not take a message."""
        with self._lock:
            if item.stage is Stage.FLIGHT:
                self._drop(item, "refused")
                self.sender_wakes.set()

    @property
    def sendable(self) -> int:
        """How many messages are live or behind; none without a link."""
        with self._lock:
            lanes = self._lanes
            return len(lanes.live) + lanes.behind.total() if lanes.up else 0

    @property
    def answers_due(self) -> int:
        """How many messages a link that is up has not been given an answer to."""
        with self._lock:
            return len(self._lanes.flight) if self._lanes.up else 0

    # For who writes.

    def batch(self, rows: int) -> Batch:
        """Return what is to be written, at most so many rows, and what is to be removed."""
        with self._lock:
            for item in self._unwritten.too_many():
                self._drop(item, item.keeping.cause)
            items, more = self._unwritten.first(rows)
            return Batch(items, dict(self._deletes), more)

    def written(self, batch: Batch, removed: Iterable[tuple[Row, str]]) -> None:
        """A batch is in the file; `removed` are rows that went from it, and why."""
        with self._lock:
            for position in batch.acknowledged:
                self._deletes.pop(position, None)
            if batch.items:
                self._unwritten.written(batch.items)
            for item in batch.items:
                item.stored = True
                if item.stage is Stage.DONE:  # while it was being written
                    self._deletes[item.position] = Row(item.position, item.topic, item.size)
            for row, cause in removed:
                self._lanes.caught_up(row.topic)
                self.drops.count(cause)
            if self._lanes.fed:
                self._lanes.reread()
            self._lanes.exhausted = False
            self.sender_wakes.set()
        self._tell_waiters()

    def not_written(self) -> None:
        """A commit has failed: what was claimed is still in the file."""
        with self._lock:
            self._lanes.reread()

    def without_file(self) -> None:
        """Go on as if there was nothing in the file: nobody knows whether it will be read again."""
        with self._lock:
            self._lanes.ready = self._lanes.exhausted = True
            self.sender_wakes.set()
        self._tell_waiters()

    def claim(self, rows: Iterable[Row]) -> list[Row]:
        """Keep rows from being sent, so that they can be removed; return those that can be.

        Not what is with the link, nor what is done with.
        """
        with self._lock:
            busy = self._lanes.flight.keys() | self._deletes.keys()
            claimed = [row for row in rows if row.position not in busy]
            self._lanes.withdraw({row.position for row in claimed})
            return claimed

    @property
    def wants_page(self) -> int | None:
        """The position after which the file is to be read on; None if that is not needed."""
        with self._lock:
            return self._lanes.cursor if self._lanes.wants_page else None

    def add_page(self, after: int, items: list[Item], cursor: int | None) -> None:
        """Take what was read after a position, unless that was overtaken by events."""
        with self._lock:
            if self._lanes.cursor != after:
                return
            known = self._lanes.live.keys() | self._lanes.flight.keys() | self._deletes.keys()
            new = [item for item in items if item.position not in known]
            self._lanes.add_page(new, cursor)
            self.sender_wakes.set()

    def opened(self, topics: Counter[str]) -> None:
        """The file holds so many messages of each topic."""
        with self._lock:
            behind = topics.copy()
            behind.subtract(row.topic for row in self._deletes.values())
            behind.subtract(item.topic for item in self._near if item.stored)
            behind.update(i.topic for i in self._unwritten if i.stage is Stage.BEHIND)
            self._lanes.behind = +behind
            self._lanes.reread()
            self._lanes.ready = True
            self.sender_wakes.set()
        self._tell_waiters()

    def lost_file(self) -> int:
        """The file is lost: write again what memory has of it; return how much is lost."""
        with self._lock:
            unwritten = Counter(i.topic for i in self._unwritten if i.stage is Stage.BEHIND)
            lost = self._lanes.behind.total() - unwritten.total()
            again = [item for item in self._near if item.stored]
            for item in again:
                item.stored = False
            self._unwritten.put_back(again)
            self._lanes.behind = unwritten
            self._deletes.clear()
            self._lanes.reread()
            self.drops.count("damaged", lost)
            return lost

    def abandon(self) -> None:
        """Count as dropped what could not be written in the end, for it is in memory only."""
        with self._lock:
            self.down(forgets=False)
            for item in list(self._unwritten):
                self._drop(item, "closed")

    def pending(self) -> Pending:
        """Return what waits for the writer. If nothing does, it is woken when something comes."""
        with self._lock:
            oldest = self._unwritten.oldest
            self._writer_rests = oldest is None and not self._deletes
            oldest_ns = None if oldest is None else oldest.monotonic_ns
            if oldest is not None and oldest.boot is not self._boot:  # another monotonic time
                oldest_ns = 0
            full = self._unwritten.half_full
            return Pending(oldest_ns, full, bool(self._deletes), self._is_starved)

    def drops_to_tell(self, *, all: bool = False) -> list[Message]:
        """Return the messages about drops that are due."""
        with self._lock:
            return self.drops.to_tell(self._clock.monotonic_ns(), all=all)

    @property
    def waiting(self) -> int:
        """How many messages are known of that are not delivered."""
        with self._lock:
            return len(self._near) + self._lanes.behind.total()

    def in_memory(self) -> dict[str, int]:
        """Return how many are with the link, live, behind, and not written yet."""
        with self._lock:
            lanes = self._lanes
            return {
                "in_flight": len(lanes.flight),
                "live": len(lanes.live),
                "behind": lanes.behind.total(),
                "unwritten": self._unwritten.rows,
            }

    @property
    def _is_starved(self) -> bool:
        return self._lanes.up and self._lanes.exhausted and bool(self._lanes.behind)

    def _admit(self, item: Item) -> bool:
        while item.keeping.count and (surplus := self._unwritten.surplus(item)) is not None:
            if surplus is item:
                self.drops.count("queue")
                return False
            self._drop(surplus, "queue")
        return True

    def _next_behind(self) -> Item | None:
        item = self._lanes.next_behind()
        if item is None and self._lanes.exhausted and not self.file_works:
            self._lanes.feed(self._unwritten)
            item = self._lanes.next_behind()
        return item

    def _too_old(self, item: Item) -> bool:
        """Drop a message that was taken but has expired."""
        if self._left_ns(item) > 0:
            return False
        self._drop(item, "expired")
        return True

    def _left_ns(self, item: Item) -> int:
        limit_ns = self._max_age_ns
        if item.lifetime_ns is not None:
            limit_ns = min(limit_ns, item.lifetime_ns)
        return limit_ns - self.ages.of(item, self._clock.monotonic_ns())

    def _drop(self, item: Item, cause: str) -> None:
        self.drops.count(cause)
        self._done(item)

    def _done(self, item: Item) -> None:
        self._lanes.leave(item)
        item.stage = Stage.DONE
        if item.stored:
            self._deletes[item.position] = Row(item.position, item.topic, item.size)
            if self._writer_rests:
                self._wake_writer()
        elif item.keeping.count:
            self._unwritten.done(item)

    @property
    def _near(self) -> list[Item]:
        """What is with the link, and what is live."""
        return [*self._lanes.flight.values(), *self._lanes.live.values()]

    def _wake_writer(self) -> None:
        self._writer_rests = False
        self.writer_wakes.set()

    def _tell_waiters(self) -> None:
        if not self._waiters or not self._lanes.ready:
            return
        with self._lock:
            committed = self.committed
            due = [call for position, call in self._waiters if position <= committed]
            self._waiters = [w for w in self._waiters if w[0] > committed]
        for call in due:
            call()
