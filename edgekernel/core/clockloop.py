"""An asyncio event loop that lives on a Clock; imported when the first coroutine is to run."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import Any, TypeVarTuple

from edgekernel.core.clock import Clock, EventLike, SystemClock
from edgekernel.core.errors import LifecycleError, unless_unwound

Ts = TypeVarTuple("Ts")

_OUTSIDE = "it takes no part in the clock's time, and a coroutine cannot wait for it in simulation"


def make_loop(clock: Clock) -> asyncio.AbstractEventLoop:
    """Return a loop for a thread of a clock: Python's own on the system's clock."""
    return asyncio.SelectorEventLoop() if isinstance(clock, SystemClock) else ClockLoop(clock)


class ClockLoop(asyncio.SelectorEventLoop):
    """A loop whose time is that of a clock and which waits as everything on that clock does.

    Coroutines on it may wait for one another, for time to pass, and for other threads of the
    clock: those that `asyncio.to_thread` begins are. Sockets, pipes and processes take no part in
    the clock's time, and a wait for one could not end well: it is a LifecycleError.
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

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], Any], *args: *Ts
    ) -> asyncio.Future[Any]:
        """Call a function in a thread of the clock. Raises LifecycleError for an executor, which
        has threads of its own."""
        if executor is not None:
            raise LifecycleError(f"{type(executor).__name__}: {_OUTSIDE}; give None as executor")
        over: asyncio.Future[Any] = self.create_future()
        self._clock.Thread(lambda: self._work(over, partial(func, *args)), "to_thread").start()
        return over

    def _work(self, over: asyncio.Future[Any], call: Callable[[], object]) -> None:
        try:
            settle = partial(over.set_result, call())
        except BaseException as error:
            settle = partial(over.set_exception, unless_unwound(error))
        with suppress(RuntimeError):  # the loop has ended meanwhile, and who waited
            self.call_soon_threadsafe(lambda: over.done() or settle())

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> Any:
        """Raise LifecycleError: a process lives outside of the clock."""
        raise LifecycleError(f"a process: {_OUTSIDE}")

    subprocess_shell = subprocess_exec


class _ClockSelector(selectors.SelectSelector):
    """Waits on the clock; afterwards looks whether the loop was woken by way of its own socket."""

    def __init__(self, woken: EventLike) -> None:
        super().__init__()
        self._woken = woken

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self.get_map():  # the first is the loop's own
            raise LifecycleError(f"file descriptor {fileobj}: {_OUTSIDE}")
        return super().register(fileobj, events, data)

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
