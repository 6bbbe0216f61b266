"""What a broker has seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """Counts of one broker."""

    connects: int = 0
    """Clients that it has accepted."""
    refused: int = 0
    """Clients that it has not."""
    received: int = 0
    """Messages that clients have published."""
    delivered: int = 0
    """Messages to clients, each time that one was sent."""
    wills: int = 0
    """Last wills that it has published."""
    dropped: int = 0
    """Messages to clients that were away, for which there was no room."""
    expired: int = 0
    """Messages that were too old to be delivered."""
