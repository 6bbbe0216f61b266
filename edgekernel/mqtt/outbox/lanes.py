"""The two lanes to the link: what is live, and what is behind and comes from the file."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from itertools import islice

from edgekernel.mqtt.outbox.item import Item, Stage

WINDOW = 20
"""Messages with the link at once, which sends them in their order: what is live goes ahead of what
is not there yet."""
RESERVED = 5
"""How many of them only live messages may be."""
FIRST = -(1 << 62)


class Lanes:
    """Decides what is sent next. Its owner's lock protects it.

    A message is live if the link is up, none of its topic is behind, and there is room; live
    messages go first. Everything else is behind: it goes to the file and comes from it in its
    order. A topic that is behind stays so until its last message has been taken, so the order
    within a topic is kept whatever overtakes what.
    """

    def __init__(self, rows: int, size: int) -> None:
        """Have room for so many live messages with so many bytes."""
        self._rows = rows
        self._size = size
        self._live_size = 0
        self._draining = 0
        self._page: deque[Item] = deque()
        self.live: OrderedDict[int, Item] = OrderedDict()
        self.flight: dict[int, Item] = {}
        self.behind: Counter[str] = Counter()
        """Messages of each topic that are behind."""
        self.up = False
        self.ready = False
        """Whether it is known what the file holds."""
        self.cursor = FIRST
        """Up to where the file was read."""
        self.exhausted = False
        """Whether there was nothing behind the cursor."""
        self._fed = FIRST

    def enter(self, item: Item) -> None:
        """Give a new message its lane."""
        if self._is_live(item):
            item.stage = Stage.LIVE
            self.live[item.position] = item
            self._live_size += item.size
        else:
            self.fall_behind(item)

    def fall_behind(self, item: Item) -> None:
        """Let a message wait for its turn."""
        item.stage = Stage.BEHIND
        self.behind[item.topic] += 1

    def caught_up(self, topic: str) -> None:
        """Count one message of a topic less that is behind."""
        self.behind[topic] -= 1
        if self.behind[topic] <= 0:
            del self.behind[topic]

    def next_live(self) -> Item | None:
        """Take the live message to be sent next."""
        if not self.up or not self.live or len(self.flight) >= WINDOW:
            return None
        item = next(iter(self.live.values()))
        self.leave(item)
        return self._take_off(item, drained=False)

    def next_behind(self) -> Item | None:
        """Return the message that is to be sent next of those behind, without taking it."""
        if not self.up or self._draining >= WINDOW - RESERVED or len(self.flight) >= WINDOW:
            return None
        while self._page and self._page[0].stage is not Stage.BEHIND:
            self._page.popleft()
        return self._page[0] if self._page else None

    def take_behind(self) -> Item:
        """Take what `next_behind` has returned."""
        item = self._page.popleft()
        self.caught_up(item.topic)
        self._draining += 1
        return self._take_off(item, drained=True)

    def leave(self, item: Item) -> None:
        """Take a message out of its lane: it is sent, acknowledged or dropped."""
        if item.stage is Stage.LIVE:
            del self.live[item.position]
            self._live_size -= item.size
        elif item.stage is Stage.BEHIND:
            self.caught_up(item.topic)
        elif item.stage is Stage.FLIGHT:
            del self.flight[item.position]
            self._draining -= item.drained

    @property
    def wants_page(self) -> bool:
        """Whether more is to be read from the file."""
        return self.up and self.ready and not self.exhausted and len(self._page) < WINDOW

    def add_page(self, items: Iterable[Item], cursor: int | None) -> None:
        """Take what was read after the cursor, and the new cursor; None: there was nothing."""
        if cursor is None:
            self.exhausted = True
        else:
            self.cursor = cursor
            self._page.extend(items)

    def feed(self, unwritten: Iterable[Item]) -> bool:
        """Have messages sent that cannot be written; they come after everything in the file."""
        behind = (i for i in unwritten if i.stage is Stage.BEHIND and i.position > self._fed)
        items = list(islice(behind, WINDOW))
        self._page.extend(items)
        if items:
            self._fed = items[-1].position
        return bool(items)

    def withdraw(self, positions: set[int]) -> None:
        """Take messages that are in the file out of memory: they are behind, and not sent."""
        for position in positions & self.live.keys():
            item = self.live[position]
            self.leave(item)
            self.fall_behind(item)
        if any(item.position in positions for item in self._page):
            self._page = deque(item for item in self._page if item.position not in positions)

    def put_back(self, item: Item) -> None:
        """Make a message that was taken the next one again."""
        self.leave(item)
        if not self.up:
            self.fall_behind(item)
            self.reread()
        elif item.drained:
            self.fall_behind(item)
            self._page.appendleft(item)
        else:
            item.stage = Stage.LIVE
            self.live[item.position] = item
            self.live.move_to_end(item.position, last=False)
            self._live_size += item.size

    def reread(self) -> None:
        """Read the file from the beginning again."""
        self._page.clear()
        self.cursor = self._fed = FIRST
        self.exhausted = False

    @property
    def fed(self) -> bool:
        """Whether there may be messages that were not read from the file."""
        return self._fed != FIRST

    def down(self, forgets: bool) -> list[Item]:
        """Let everything live fall behind, with `forgets` also what is with the link; return it."""
        self.up = False
        fallen = list(self.live.values())
        if forgets:
            fallen = [*self.flight.values(), *fallen]
            self.flight.clear()
            self._draining = 0
        self.live.clear()
        self._live_size = 0
        for item in fallen:
            self.fall_behind(item)
        self.reread()
        return fallen

    def _is_live(self, item: Item) -> bool:
        return (
            self.up
            and self.ready
            and item.topic not in self.behind
            and len(self.live) < self._rows
            and self._live_size + item.size <= self._size
        )

    def _take_off(self, item: Item, *, drained: bool) -> Item:
        item.stage = Stage.FLIGHT
        item.drained = drained
        self.flight[item.position] = item
        return item
