"""An asyncio event loop that lives on a Clock; imported when the first coroutine is to run."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from contextvars import Context
from typing import TypeVarTuple

from edgekernel.core.clock import Clock, EventLike, SystemClock

Ts = TypeVarTuple("Ts")


def make_loop(clock: Clock) -> asyncio.AbstractEventLoop:
    """Return a loop for a thread of a clock: Python's own on the system's clock."""
    return asyncio.SelectorEventLoop() if isinstance(clock, SystemClock) else ClockLoop(clock)


class ClockLoop(asyncio.SelectorEventLoop):
    """A loop whose time is that of a clock and which waits as everything on that clock does.

    Coroutines on it may wait for one another, for time to pass, and for other threads of the
    clock through `call_soon_threadsafe`; not for sockets, whose time is another.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._woken: EventLike = clock.Event()
        super().__init__(_ClockSelector(self._woken))
        # What asyncio adds to the time to find what is due. After months, its own 1 ns is less
        # than a float of seconds can tell, and what is due exactly now would never be.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Return the clock's monotonic time in seconds."""
        return self._clock.monotonic()

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Call back soon, and wake the loop."""
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        self._woken.set()
        return handle


class _ClockSelector(selectors.SelectSelector):
    """Waits on the clock; afterwards looks which files are ready, without waiting for them."""

    def __init__(self, woken: EventLike) -> None:
        super().__init__()
        self._woken = woken

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            # Others that live on this operating system thread may run while this loop waits, and
            # they are not inside it.
            loop = asyncio._get_running_loop()
            asyncio._set_running_loop(None)
            try:
                self._woken.wait(timeout)
            finally:
                asyncio._set_running_loop(loop)
        self._woken.clear()
        return super().select(0)
