"""What a journal is written to and read from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from edgekernel.journal.records import Record


class JournalSink(Protocol):
    """Takes records in order. Used by one thread at a time."""

    def write(self, record: Record) -> None:
        """Take a record; raises OSError if it cannot, and then it has not taken it."""
        ...

    def flush(self) -> None:
        """Make safe what was taken. Raises OSError; what was taken is tried again later."""
        ...

    def close(self) -> None:
        """Flush and give everything back; raises OSError. Closing twice is harmless."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A record with its number in the journal, from 0; None if it repeats an earlier one."""

    number: int | None
    record: Record


@dataclass(slots=True)
class Unreadable:
    """What a source could not read, so far."""

    records: int = 0
    """Records that are known to be missing, or are opaque."""
    places: int = 0
    """Places with bytes that mean nothing, such as the torn end after a power cut."""
    size: int = 0
    """How many such bytes."""


class JournalSource(Protocol):
    """Gives records back in the order of writing."""

    @property
    def unreadable(self) -> Unreadable:
        """What could not be read in the latest reading."""
        ...

    def entries(
        self, *, number: int = 0, since_ns: int | None = None, until_ns: int | None = None
    ) -> Iterator[Entry]:
        """Return the entries from a number on, and from and before a wall time."""
        ...
