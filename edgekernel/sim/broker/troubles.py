"""What is wrong with a broker and its links, for a while."""

from __future__ import annotations

from collections.abc import Callable


class Troubles:
    """The faults of one broker; as it is made there are none."""

    def __init__(self) -> None:
        self.dead_air = False
        """Whether nothing comes through between clients and broker."""
        self.refuses = False
        """Whether the broker lets nobody in."""
        self.denies: Callable[[str], bool] = lambda topic: False
        """Says of a topic whether what clients publish on it is dropped, as by access rules."""
        self.ack_delay_s = 0.0
        """By how much each acknowledgement of a message is late."""
        self.duplicates: Callable[[], bool] = never
        """Says of each message at QoS 1 whether it is delivered twice."""
        self.lateness_s: Callable[[], float] | None = None
        """Says of each message how late it is."""


def never() -> bool:
    return False
