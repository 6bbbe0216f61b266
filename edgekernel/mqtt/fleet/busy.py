"""Who holds nodes busy."""

from __future__ import annotations

from datetime import datetime

from edgekernel.mqtt.fleet.documents import Document, read_text, read_time
from edgekernel.mqtt.fleet.results import BusyState


def read_busy(document: Document) -> tuple[BusyState, ...]:
    """Read what is retained on `busy`."""
    locks = document.get("locks")
    return tuple(
        BusyState(
            read_text(each, "id"),
            read_text(each, "holder"),
            read_text(each, "reason"),
            read_time(each.get("until")),
        )
        for each in (locks if isinstance(locks, list) else ())
        if isinstance(each, dict)
    )


def still_held(document: Document, now: datetime) -> tuple[BusyState, ...]:
    """Read the same without what has ended by now: a node that is offline does not publish that."""
    locks = read_busy(document)
    return tuple(each for each in locks if each.until is None or each.until > now)
