"""How good the wall time of a clock is, as the kernel knows it."""

from __future__ import annotations

from edgekernel.core.clock import Clock, SystemClock

_TIME_ERROR = 5
"""What adjtimex(2) returns while the clock is not synchronised."""
_TIMEX_BYTES = 512
"""More than `struct timex` has; its first field, `modes`, is 0 for asking only."""


def is_simulated(clock: Clock) -> bool:
    """Say whether a clock is another one than this machine's."""
    return not isinstance(clock, SystemClock)


def quality_of(clock: Clock) -> str:
    """Return how far a clock's wall time can be relied on, as `system_quality`; a simulated one
    can."""
    return "synchronised" if is_simulated(clock) else system_quality()


def system_quality() -> str:
    """Return "synchronised" or "unsynchronised", as the kernel knows; else "unknown"."""
    import ctypes  # 10 ms on a small board: only where the time is judged

    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (AttributeError, OSError):  # not on Linux, or forbidden
        return "unknown"
    if state < 0:
        return "unknown"
    return "unsynchronised" if state == _TIME_ERROR else "synchronised"
