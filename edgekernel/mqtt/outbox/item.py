"""A message on its way, and what it says of itself when it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from edgekernel.core.clock import utc
from edgekernel.mqtt.encoding import stamp_of, stamped
from edgekernel.mqtt.outbox.boots import Boot
from edgekernel.mqtt.outbox.keeping import Keeping

ROW_BYTES = 80
"""What a message takes in the file beside its topic and its payload, about."""


class Stage(Enum):
    """Where a message stands."""

    LIVE = 1
    """In memory, to be sent before everything that is behind."""
    BEHIND = 2
    """To be sent when its turn comes, from the file."""
    FLIGHT = 3
    """With the link, not acknowledged."""
    DONE = 4
    """Acknowledged, or dropped and counted."""


@dataclass(slots=True, eq=False)
class Item:
    """A message. What is in the file may have no item: those that are behind are read later."""

    position: int
    """Its place in the order; before the first message of this boot it is 0 or negative."""
    topic: str
    payload: bytes
    qos: int
    retain: bool
    stamped: bool
    keeping: Keeping
    boot: Boot
    number: int
    """Counts the messages of its boot, from 1."""
    monotonic_ns: int
    time_ns: int | None
    lifetime_ns: int | None
    stage: Stage = Stage.BEHIND
    stored: bool = False
    drained: bool = False
    """Whether it was read from the file to be sent."""

    @property
    def size(self) -> int:
        """The bytes that it counts for."""
        return len(self.topic) + len(self.payload) + ROW_BYTES

    @property
    def id(self) -> str:
        """What consumers know duplicates by; no other message ever has it."""
        return f"{self.boot.id}-{self.number}"

    def as_sent(self) -> bytes:
        """Return the payload, with the stamp as its first fields if it is to be stamped."""
        if not self.stamped:
            return self.payload
        return stamped(self.payload, self._stamp())

    def _stamp(self) -> bytes:
        time_ns, more = self.time_ns, ""
        if time_ns is None and self.boot.offset_ns is not None:
            time_ns, more = self.monotonic_ns + self.boot.offset_ns, ',"backfilled":true'
        time = None if time_ns is None else utc(time_ns)
        if time is None:
            more = ',"time_quality":"unsynchronised"'
        return stamp_of(self.id, self.boot.id, self.monotonic_ns, time, more)


def can_be_stamped(payload: bytes) -> bool:
    """Say whether a payload looks like a JSON object."""
    return payload[:1] == b"{" and payload[-1:] == b"}"


class Aged(NamedTuple):
    """What tells the age of a message."""

    boot: Boot
    monotonic_ns: int
    time_ns: int | None


class Ages:
    """How old messages are, as far as it is known: never more than they really are."""

    def __init__(self, boot: Boot, began_ns: int) -> None:
        """Take the running boot and when it began, in monotonic time."""
        self._boot = boot
        self._began_ns = began_ns

    def of(self, item: Item | Aged, now_ns: int) -> int:
        """Return the age of a message at a monotonic time, in nanoseconds."""
        boot = item.boot
        if boot is self._boot or boot.machine == self._boot.machine:
            return max(0, now_ns - item.monotonic_ns)
        if item.time_ns is not None:
            then_ns = item.time_ns
        elif boot.offset_ns is not None:
            then_ns = item.monotonic_ns + boot.offset_ns
        else:
            then_ns = None
        if then_ns is None or self._boot.offset_ns is None:
            return now_ns - self._began_ns
        return max(0, now_ns + self._boot.offset_ns - then_ns)
