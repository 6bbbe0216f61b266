"""Time that goes on while a computer is suspended or a process is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from edgekernel.core.clock import Clock
from edgekernel.core.time_quality import is_simulated


def elapsed_ns(clock: Clock) -> Callable[[], int]:
    """Return what tells nanoseconds since an arbitrary moment; never goes back.

    The monotonic time of Linux stands still while the computer is suspended (clock_gettime(2)); a
    broker's goes on.
    """
    if is_simulated(clock) or not hasattr(time, "CLOCK_BOOTTIME"):
        return clock.monotonic_ns
    return partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
