"""What was not delivered, counted by cause, and told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from edgekernel.core.messages import Message
from edgekernel.core.telling import Telling
from edgekernel.mqtt.outbox.messages import OutboxDropped

CAUSES = {
    "superseded": "a newer message of the same topic has come, whose rule keeps the latest",
    "ring": "its topic's ring was full",
    "not kept": "there was no link, and its topic's rule keeps nothing",
    "expired": "it was too old to be sent",
    "full": "the file was full: too many rows or bytes; the oldest went",
    "queue": "too many waited in memory for the disk",
    "too large": "its payload is larger than max_payload",
    "damaged": "its row in the file could not be read, or the file had to be set aside",
    "refused": "the broker or the link does not take it",
    "closed": "it came after the outbox was closed, or could not be written before",
}
"""Why a message is not delivered."""


class Drops:
    """Counts, and tells of each cause: at once, then at longer and longer pauses, up to an hour.

    What is told waits in an outbox itself: while that is full, each telling costs a message. The
    owner's lock protects it.
    """

    def __init__(self) -> None:
        self.by_cause: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._tellings: dict[str, Telling] = {}

    def count(self, cause: str, number: int = 1) -> None:
        """Count messages that are not delivered."""
        assert cause in CAUSES
        self.by_cause[cause] += number

    @property
    def untold(self) -> bool:
        """Whether there is something to tell, now or later."""
        return any(self.by_cause[cause] > self._told[cause] for cause in self._tellable())

    def to_tell(self, now_ns: int, *, all: bool = False) -> list[Message]:
        """Return what is to be told now; with `all`, whenever it was told last."""
        due: list[Message] = []
        for cause in self._tellable():
            new = self.by_cause[cause] - self._told[cause]
            telling = self._tellings.setdefault(cause, Telling())
            if new and (all or telling.due(now_ns)):
                self._told[cause] += new
                telling.told(now_ns)
                due.append(OutboxDropped(new, cause))
        return due

    def _tellable(self) -> Iterable[str]:
        """Return the causes that are told: that a newer value has come is what was asked for."""
        return [cause for cause in self.by_cause if cause != "superseded"]
