"""What waits to be published: replies first, then states (the latest of each), then events."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container
from typing import NamedTuple

from edgekernel.core.clock import Clock
from edgekernel.mqtt.transport import NOTHING_BESIDE, Properties

WINDOW = 20
"""Messages on their way without an acknowledgement. What waits behind them can still be overtaken
by a reply, replaced by a newer state or, as one event too many, dropped."""

MAX_REPLIES = 1000
MAX_CLEARED = 1000
"""Topics that were taken off and are so again with each link: another broker may have them still.
Of more the oldest are forgotten, or a node with devices of ever new names would grow."""


class Publication(NamedTuple):
    """One message to publish at QoS 1."""

    topic: str
    payload: bytes
    retain: bool
    properties: Properties = NOTHING_BESIDE


Send = Callable[[Publication, Callable[[], None]], object]
"""Publishes; calls what it was given when the broker has acknowledged."""


class Outgoing:
    """Feeds a link at the speed of its acknowledgements. Every method is for any thread.

    Nothing here grows without bound: a retained topic keeps its latest payload only; of too
    many events the oldest are dropped, and counted; replies are for now or never, so they are
    dropped while the link is down. Events leave in the order in which they came. Publishing
    goes on in whoever's thread finds something to send; no lock is held meanwhile.
    """

    def __init__(self, send: Send, clock: Clock, *, max_events: int = 1000) -> None:
        self._send = send
        self._clock = clock
        self._max_events = max_events
        self._changed = clock.Condition()
        self._replies: deque[Publication] = deque()
        self._retained: dict[str, bytes] = {}
        self._cleared: dict[str, None] = {}
        self._unsent: dict[str, None] = {}
        self._events: deque[Publication] = deque()
        self._open = False
        self._pumping = False
        self._in_flight = 0
        self._untold = 0
        self.dropped_events = 0
        self.dropped_replies = 0

    @property
    def waiting(self) -> int:
        """How many messages wait to be sent or acknowledged."""
        return len(self._replies) + len(self._unsent) + len(self._events) + self._in_flight

    @property
    def is_open(self) -> bool:
        """Whether there is a link to publish on."""
        return self._open

    def retain(self, topic: str, payload: bytes) -> None:
        """Make this the retained payload of a topic; the same as before is not sent again."""
        with self._changed:
            if self._retained.pop(topic, None) != payload:
                self._unsent[topic] = None
            self._retained[topic] = payload
        self._pump()

    def retain_last(self, topic: str, payload: bytes) -> None:
        """Retain what vouches for others: it goes behind all that wait, also if it waits already.

        For what changes seldom: what is put back again and again is never sent.
        """
        with self._changed:
            waits = topic in self._unsent
            self._unsent.pop(topic, None)
            if self._retained.pop(topic, None) != payload or waits:
                self._unsent[topic] = None
            self._retained[topic] = payload
        self._pump()

    def clear(self, topic: str) -> None:
        """Take what is retained on a topic off the broker, and off the next one too."""
        self.retain(topic, b"")
        with self._changed:
            self._cleared.pop(topic, None)
            self._cleared[topic] = None
            if len(self._cleared) > MAX_CLEARED:
                self._forget(next(iter(self._cleared)))

    def _forget(self, topic: str) -> None:
        """Forget a topic that was taken off, unless something is there again."""
        del self._cleared[topic]
        if not self._retained.get(topic):
            self._retained.pop(topic, None)
            self._unsent.pop(topic, None)

    def event(self, topic: str, payload: bytes) -> None:
        """Publish an event after those before it; without a link it waits."""
        with self._changed:
            self._events.append(Publication(topic, payload, False))
            if len(self._events) > self._max_events:
                self._events.popleft()
                self.dropped_events += 1
                self._untold += 1
        self._pump()

    def reply(self, topic: str, payload: bytes, properties: Properties = NOTHING_BESIDE) -> None:
        """Publish a reply before everything else; without a link it is dropped and counted."""
        with self._changed:
            if self._open and len(self._replies) < MAX_REPLIES:
                self._replies.append(Publication(topic, payload, False, properties))
            else:
                self.dropped_replies += 1
        self._pump()

    def take_dropped(self) -> int:
        """Return how many events were dropped since it was asked last; 0 while the link is down."""
        with self._changed:
            if not self._open:
                return 0
            dropped, self._untold = self._untold, 0
            return dropped

    def open(self) -> None:
        """The link is up: publish everything that is retained again, then what waits."""
        with self._changed:
            self._open = True
            self._unsent = dict.fromkeys(self._retained)
        self._pump()

    def repeat(self, but: Container[str] = ()) -> None:
        """Publish everything that is retained again, `but` some topics: somebody may have missed
        it."""
        with self._changed:
            again = dict.fromkeys(topic for topic in self._retained if topic not in but)
            self._unsent = {**self._unsent, **again}
        self._pump()

    def close(self) -> None:
        """The link is down. What is in flight is the link's to send again."""
        with self._changed:
            self._open = False
            self.dropped_replies += len(self._replies)
            self._replies.clear()
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is sent and acknowledged; False if it takes longer or the link fails."""
        end_s = self._clock.monotonic() + timeout_s
        with self._changed:
            while self._open and self.waiting and (left_s := end_s - self._clock.monotonic()) > 0:
                self._changed.wait(left_s)
            return self._open and self.waiting == 0

    def _pump(self) -> None:
        with self._changed:
            # Whoever pumps looks again before it stops.
            publication = None if self._pumping else self._take()
            if publication is None:
                return
            self._pumping = True
        try:
            while publication is not None:
                self._send(publication, self._acknowledged)
                with self._changed:
                    publication = self._take()
                    self._pumping = publication is not None  # decided in the same step
        except BaseException:
            with self._changed:
                self._pumping = False
                self._in_flight -= 1
            raise

    def _take(self) -> Publication | None:
        """Return what to send next, if anything may be sent; under the lock."""
        publication = self._next() if self._open and self._in_flight < WINDOW else None
        self._in_flight += publication is not None
        return publication

    def _next(self) -> Publication | None:
        if self._replies:
            return self._replies.popleft()
        if self._unsent:
            topic = next(iter(self._unsent))
            del self._unsent[topic]
            return Publication(topic, self._retained[topic], True)
        return self._events.popleft() if self._events else None

    def _acknowledged(self) -> None:
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()
            waits = self._replies or self._unsent or self._events
        if waits:
            self._pump()
