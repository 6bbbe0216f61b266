"""What a segment repeats of those before it, which may have gone when it is read."""

from __future__ import annotations

from edgekernel.journal.records import (
    BootRecord,
    BusRecord,
    ClockRecord,
    ConfigRecord,
    EventRecord,
    Record,
)

BOOTED = "runtime.booted"
MOST = 500
"""Answers of a boot that are repeated, at most: later ones are left out."""
_LATEST = (BootRecord, ConfigRecord, ClockRecord)


class Repetition:
    """The latest boot, configuration and clock, and what boundaries answered until it had booted.

    That is what drivers ask for once: identities, calibrations, levels.
    """

    def __init__(self) -> None:
        self._latest: dict[str, Record] = {}
        self._boot: list[Record] = []
        self._booting = False

    @property
    def records(self) -> tuple[Record, ...]:
        """What is to be repeated, in order."""
        return (*self._latest.values(), *self._boot)

    def see(self, record: Record) -> None:
        """Take note of a record that is written."""
        if isinstance(record, _LATEST):
            self._latest[record.type] = record
        if isinstance(record, BootRecord):
            self._boot, self._booting = [], True
        elif not self._booting:
            return
        elif isinstance(record, EventRecord) and record.name == BOOTED:
            self._boot.append(record)
            self._booting = False
        elif isinstance(record, BusRecord) and len(self._boot) < MOST:
            self._boot.append(record)
