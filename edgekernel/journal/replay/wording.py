"""Differences in words."""

from __future__ import annotations

from collections.abc import Iterator

from edgekernel.journal.replay.compare import Difference
from edgekernel.journal.text import iso

_TO_MILLISECONDS = 23
_WIDTH = 22


def lines(difference: Difference) -> Iterator[str]:
    """Return a difference as one or two lines: with - what was recorded, with + what is now."""
    when = iso(difference.time_ns)[:_TO_MILLISECONDS].replace("T", " ")
    head = f"{when}  {difference.stream:<{_WIDTH}} "
    if difference.then:
        yield f"{head}- {difference.then}"
    if difference.now:
        yield f"{head}+ {difference.now}"
