"""What arrives for a client, taken apart by who wants it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from edgekernel.core.clock import Clock


class Arrival(NamedTuple):
    """A message, on a topic below the prefix; `retained` if the broker had kept it."""

    topic: str
    payload: bytes
    retained: bool


class LinkChange(NamedTuple):
    """The link is up again, or down and why."""

    up: bool
    reason: str


class Answer(NamedTuple):
    """The broker has answered a question; what it has sent before stands before it.

    `retained` counts the retained messages that have come on the link before, for whomever.
    """

    retained: int = 0


Item = Arrival | LinkChange | Answer


class Listener:
    """What arrives on some filters, to be taken out one by one.

    Holds `room` messages at most: of more the oldest are dropped, and counted.
    """

    def __init__(self, clock: Clock, filters: tuple[str, ...], room: int) -> None:
        self.filters = filters
        self.dropped = 0
        self.subscribed = clock.Event()
        """Set when the broker has the subscription."""
        self.refused: list[str] = []
        self._clock = clock
        self._filters = [tuple(each.split("/")) for each in filters]
        self._room = room
        self._arrived: deque[Item] = deque()
        self._changed = clock.Condition()
        self._closed = False

    def offer(self, arrival: Arrival) -> None:
        """Take a message in if a filter matches its topic."""
        levels = arrival.topic.split("/")
        if any(matches(each, levels) for each in self._filters):
            self.put(arrival)

    def put(self, arrival: Item) -> None:
        """Take in whatever it is."""
        with self._changed:
            if len(self._arrived) >= self._room:
                self._arrived.popleft()
                self.dropped += 1
            self._arrived.append(arrival)
            self._changed.notify()

    def get(self, timeout_s: float | None) -> Item | None:
        """Return what came first; None if nothing comes in time, or it is closed."""
        end_s = None if timeout_s is None else self._clock.monotonic() + timeout_s
        with self._changed:
            while not self._arrived and not self._closed:
                left_s = None if end_s is None else end_s - self._clock.monotonic()
                if left_s is not None and left_s <= 0:
                    return None
                self._changed.wait(left_s)
            return self._arrived.popleft() if self._arrived else None

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether nothing comes any more."""
        return self._closed


def matches(wanted: Sequence[str], levels: Sequence[str]) -> bool:
    """Say whether a filter matches a topic, neither of which begins with "$"."""
    if wanted[-1] == "#":
        wanted, levels = wanted[:-1], levels[: len(wanted) - 1]
    return len(wanted) == len(levels) and all(
        each in ("+", level) for each, level in zip(wanted, levels, strict=True)
    )
