"""How the driving process changes the level of the button's line in an agent: by its stdin."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

LAMP, BUTTON = 17, 27
"""The lines of the agents."""


def follow_stdin(drive: Callable[[bool], object]) -> None:
    """Call `drive` in a thread with each level that arrives, as a line of 0 or 1."""

    def follow() -> None:
        for line in sys.stdin:
            drive(line == "1\n")

    threading.Thread(target=follow, daemon=True).start()
