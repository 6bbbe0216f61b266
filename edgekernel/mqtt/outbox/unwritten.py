"""What was accepted and is not in the file yet: the bounded queue before the writer."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from edgekernel.mqtt.outbox.item import Item, Stage
from edgekernel.node.outbox_table import WhenFull

_BATCH_BYTES = 256_000


class Unwritten:
    """Messages in their order. Its owner's lock protects it.

    What is acknowledged or dropped before it was written leaves without a trace on the disk.
    """

    def __init__(self, rows: int, size: int, when_full: WhenFull) -> None:
        """Allow so many messages with so many bytes."""
        self._items: deque[Item] = deque()
        self._rows = rows
        self._size = size
        self._when_full = when_full
        self.rows = 0
        self.size = 0

    def __iter__(self) -> Iterator[Item]:
        """Go through those that still have to be written."""
        return (item for item in self._items if item.stage is not Stage.DONE)

    @property
    def half_full(self) -> bool:
        """Whether it is time to write, whatever the interval."""
        return 2 * self.rows >= self._rows or 2 * self.size >= self._size

    @property
    def oldest(self) -> Item | None:
        """The message that has waited longest."""
        self._forget_done()
        return self._items[0] if self._items else None

    def first(self, rows: int) -> tuple[list[Item], bool]:
        """Return the oldest, at most so many and about 256 KB, and whether there are more."""
        items: list[Item] = []
        size = 0
        for item in self:
            if len(items) == rows or size > _BATCH_BYTES:
                return items, True
            items.append(item)
            size += item.size
        return items, False

    def add(self, item: Item) -> None:
        """Append a message."""
        self._items.append(item)
        self.rows += 1
        self.size += item.size

    def done(self, item: Item) -> None:
        """Leave out a message that is acknowledged or dropped and was not written."""
        self.rows -= 1
        self.size -= item.size
        self._forget_done()

    def surplus(self, item: Item) -> Item | None:
        """Return which message has to go, if any, so that another can be added."""
        if self.rows < self._rows and self.size + item.size <= self._size:
            return None
        if self._when_full == "drop-newest" or item.size > self._size:
            return item
        waiting = (each for each in self if each.stage is not Stage.FLIGHT)
        return next(waiting, item)

    def too_many(self) -> list[Item]:
        """Return those that no topic's rule keeps, because newer ones have come."""
        seen: Counter[str] = Counter()
        surplus = []
        for item in reversed(self._items):
            if item.keeping.limited and item.stage in (Stage.LIVE, Stage.BEHIND):
                seen[item.topic] += 1
                if seen[item.topic] > item.keeping.count:
                    surplus.append(item)
        return surplus

    def written(self, items: list[Item]) -> None:
        """Remove the oldest, which are in the file now."""
        for item in items:
            if item.stage is not Stage.DONE:
                self.rows -= 1
                self.size -= item.size
        while self._items and self._items[0].position <= items[-1].position:
            self._items.popleft()

    def put_back(self, items: list[Item]) -> None:
        """Add messages that were in a file that is lost, in their places."""
        for item in items:
            self.rows += 1
            self.size += item.size
        self._items = deque(sorted([*items, *self._items], key=lambda item: item.position))

    def _forget_done(self) -> None:
        while self._items and self._items[0].stage is Stage.DONE:
            self._items.popleft()
