"""What the journal says about itself."""

from __future__ import annotations

from edgekernel.core.messages import Message, Severity

__all__ = ["JournalDropped", "JournalFailed", "JournalPruned", "JournalRecovered"]


class JournalFailed(Message):
    """The journal cannot be written; told once per spell and tried again."""

    severity = Severity.ERROR
    error: str


class JournalRecovered(Message):
    """The journal is written again."""


class JournalDropped(Message):
    """More records were waiting than there is room for; the oldest `dropped` are not kept.

    Told at once, and while it goes on after a minute, then after pauses twice as long each, up to
    an hour.
    """

    severity = Severity.WARNING
    dropped: int


class JournalPruned(Message):
    """The journal has reached its limits: since it was told last, the oldest `segments` have gone,
    with `size` bytes. Told as seldom as `JournalDropped`."""

    segments: int
    size: int
