"""The gate through which the make-up of a runtime is changed: one change at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.core.errors import LifecycleError

HOLD_LIMIT_S = 30.0
"""Seconds after which a change that keeps all others waiting is told of."""


class Gate:
    """Keeps boot, retries and hot changes apart from one another, and from nothing else.

    A part that is being started or stopped may ask for further changes: they belong to the one
    that goes on. Handlers, effects and commands never wait here, a shutdown not for long, hot
    changes for as long as they say, and who waits is sent away when the shutdown comes. A watchdog
    may watch how long a change takes (`Watched`), from the time on that somebody says what it is.
    """

    def __init__(
        self,
        clock: Clock,
        look: Callable[[], object] = lambda: None,
        tell: Callable[[str, float, bool], object] = lambda change, seconds, over: None,
    ) -> None:
        """Let the first one in. `look` lets the watchdog look; `tell` hears which change hangs,
        since how many seconds, and whether it is over."""
        self._clock = clock
        self._look = look
        self._tell = tell
        self._change = self._hung_change = ""
        self._entered_ns = 0
        self._hung = False
        self.begun_ns: int | None = None
        self.limit_ns: int | None = None
        self._moved = clock.Condition()  # told whenever somebody leaves, or should look again
        self._inside: list[object] = []  # the flows of the one change that goes on
        self._nested: list[object] = []  # those of them that make a further change in it
        self._closed = False

    def begin(self, change: str) -> None:
        """Say which step of the change that goes on begins now."""
        self._change, self.begun_ns = change, self._clock.monotonic_ns()
        if self.limit_ns is None:
            self.limit_ns = int(HOLD_LIMIT_S * NANOSECONDS)
            self._look()
        self._end_spell()

    def _end_spell(self) -> None:
        if self._hung:
            self._hung = False
            self._look()

    def mark_hung(self, hung: bool) -> None:
        """Let the watchdog be called when the present step ends."""
        self._hung = hung

    def hangs(self, seconds: float) -> None:
        """Tell which change keeps the others waiting."""
        self._hung_change = self._change
        self._tell(self._hung_change, seconds, False)

    def recovered(self, seconds: float) -> None:
        """Tell that it does so no more."""
        self._tell(self._hung_change, seconds, True)

    def problem(self) -> str:
        """Return nothing: the runtime works on, only its parts stay as they are."""
        return ""

    def held(self) -> bool:
        """Say whether the calling thread belongs to the change that goes on."""
        return self._clock.flow() in self._inside

    @contextmanager
    def passing(
        self,
        unwanted: Callable[[], bool] = lambda: False,
        *,
        change: str = "",
        limit_s: float | None = None,
    ) -> Iterator[bool]:
        """Have the runtime to oneself for a change, waiting for it.

        Gives False if the gate is closed, or if `unwanted()` is true while it waits: that is
        asked again after each `look_again`. Raises LifecycleError when it has waited for
        `limit_s` seconds.
        """
        flow = self._clock.flow()
        with self._moved:
            is_further = flow in self._inside
            if is_further:
                self._nested.append(flow)
        if is_further:
            try:
                yield True
            finally:
                self._nested.remove(flow)
            return
        entered = self._enter(unwanted, change, limit_s)
        try:
            yield entered
        finally:
            if entered:
                self.begun_ns = self.limit_ns = None
                self._end_spell()
                with self._moved:
                    self._inside.clear()
                    self._moved.notify_all()

    def _enter(self, unwanted: Callable[[], bool], change: str, limit_s: float | None) -> bool:
        now_ns = self._clock.monotonic_ns
        end_ns = None if limit_s is None else now_ns() + int(limit_s * NANOSECONDS)
        with self._moved:
            while self._inside and not self._closed and not unwanted():
                left_ns = None if end_ns is None else end_ns - now_ns()
                if left_ns is not None and left_ns <= 0:
                    raise LifecycleError(f"{change}: not done, nothing has changed: {self._kept()}")
                self._moved.wait(None if left_ns is None else left_ns / NANOSECONDS)
            if self._inside or self._closed or unwanted():
                return False
            self._inside.append(self._clock.flow())
            self._change, self._entered_ns = change, now_ns()
            return True

    def _kept(self) -> str:
        seconds = (self._clock.monotonic_ns() - self._entered_ns) / NANOSECONDS
        return (
            f"{self._change or 'another change'} goes on, and has kept all other changes waiting "
            f"for {seconds:.1f} s. Try again when it has ended"
        )

    @contextmanager
    def shared(self, by: object) -> Iterator[None]:
        """Let the calling thread take part in the change of the thread `by`, which waits for it."""
        flow = self._clock.flow()
        with self._moved:
            joined = by in self._inside and flow not in self._inside
            if joined:
                self._inside.append(flow)
        try:
            yield
        finally:
            with self._moved:
                if joined and flow in self._inside:
                    self._inside.remove(flow)

    def dismiss(self, flow: object) -> bool:
        """Let a thread that was let in by `shared` take part no more.

        False, with nothing done, while it makes a further change of its own.
        """
        with self._moved:
            if flow in self._nested:
                return False
            if flow in self._inside:
                self._inside.remove(flow)
            return True

    def look_again(self) -> None:
        """Let all who wait ask again whether they are still wanted."""
        with self._moved:
            self._moved.notify_all()

    def close(self, timeout_s: float) -> bool:
        """Let nobody in any more; return False if a change still goes on after the time.

        The thread whose change goes on does not wait for itself.
        """
        end = self._clock.monotonic() + timeout_s
        with self._moved:
            self._closed = True
            self._moved.notify_all()
            while self._inside and not self.held():
                left = end - self._clock.monotonic()
                if left <= 0:
                    return False
                self._moved.wait(left)
        return True
