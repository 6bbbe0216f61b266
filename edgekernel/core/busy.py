"""Busy locks: "not now", for a reason and a time, which whoever interrupts a node waits for."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Self

from edgekernel.core.clock import NANOSECONDS, Clock, EventLike, utc
from edgekernel.core.errors import InvalidValueError, UnavailableError
from edgekernel.core.signals import Signal

if TYPE_CHECKING:
    from datetime import datetime

    from edgekernel.core.timers import Timers

LONGEST_S = 7 * 86400.0
"""A lock ends after a week at the latest: one without an end would keep a node from ever being
updated."""
MOST = 32
"""Locks at the same time; the next one is refused."""
LOOK_S = 1.0
"""How often it is looked whether a node is free, by whoever waits for that."""
_MAX_TEXT = 200


class BusyLock:
    """One lock: who holds it, why, and until when. As a context manager it ends with its block."""

    __slots__ = ("_locks", "due_ns", "holder", "id", "kept", "reason", "until_ns")

    def __init__(
        self,
        locks: BusyLocks,
        id: str,
        holder: str,
        reason: str,
        due_ns: int,
        until_ns: int,
        kept: bool,
    ) -> None:
        self._locks = locks
        self.id = id
        self.holder = holder
        self.reason = reason
        self.due_ns = due_ns
        """When it ends by itself, on the clock's monotonic time."""
        self.until_ns = until_ns
        """The same as a wall time, for people."""
        self.kept = kept
        """Whether it outlives a restart of the agent: an operator's does."""

    @property
    def until(self) -> datetime:
        """When it ends by itself, at the latest."""
        return utc(self.until_ns)

    @property
    def held(self) -> bool:
        """Whether it is still held."""
        return any(each is self for each in self._locks.held())

    def release(self) -> None:
        """Give it up. Twice is harmless."""
        self._locks.release(self.id)

    def __str__(self) -> str:
        return f"{self.holder}: {self.reason} (until {self.until:%Y-%m-%d %H:%M:%S} UTC)"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class BusyLocks:
    """The locks of a runtime. Every method is for any thread; none of them waits but `wait`."""

    def __init__(self, clock: Clock, timers: Timers) -> None:
        """Be free."""
        self._clock = clock
        self._lock = threading.Lock()  # around the locks
        self._locks: dict[str, BusyLock] = {}
        self._numbers = count(1)
        self._changes: Signal[int] = Signal(0, name="busy")
        self._told = count(1)
        self._timer = timers.timer(self._lapse)

    def hold(
        self, holder: str, reason: str, for_s: float, *, id: str = "", kept: bool = False
    ) -> BusyLock:
        """Say "not now" for `for_s` seconds, more than 0 and at most a week.

        A lock of the same `id` is replaced. Raises InvalidValueError for a reason or holder that is
        empty or longer than 200 characters, or another time, and UnavailableError if there are 32.
        """
        reason, holder = _text("reason", reason), _text("holder", holder)
        if not (math.isfinite(for_s) and 0 < for_s <= LONGEST_S):
            raise InvalidValueError(
                f"busy for {for_s:g} s: a lock ends by itself, after more than 0 s and at most "
                f"{LONGEST_S / 86400:g} days"
            )
        length_ns = round(for_s * NANOSECONDS)
        due_ns = self._clock.monotonic_ns() + length_ns
        with self._lock:
            self._forget_ended()
            id = id or next(n for n in map(str, self._numbers) if n not in self._locks)
            if id not in self._locks and len(self._locks) >= MOST:
                raise UnavailableError(f"busy: there are {MOST} locks already; release some")
            until_ns = self._clock.time_ns() + length_ns
            made = BusyLock(self, id, holder, reason, due_ns, until_ns, kept)
            self._locks[id] = made
            self._set_timer()
        self._changes.set(next(self._told))
        return made

    def release(self, id: str) -> bool:
        """Give up the lock of an id; say whether there was one."""
        with self._lock:
            found = self._locks.pop(id, None)
            held = found is not None and found.due_ns > self._clock.monotonic_ns()
        if held:
            self._changes.set(next(self._told))
        return held

    def release_of(self, holder: str) -> None:
        """Give up what a part holds that has stopped; what is kept stays."""
        for lock in self.held():
            if lock.holder == holder and not lock.kept:
                self.release(lock.id)

    def held(self) -> list[BusyLock]:
        """Return the locks that are held now, the one that ends first at the beginning.

        An effect that asks runs again when that changes.
        """
        self._changes.get()
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            found = [each for each in self._locks.values() if each.due_ns > now_ns]
        return sorted(found, key=lambda each: each.due_ns)

    def why(self) -> str:
        """Say who holds the node busy, why and until when; "" if it is free."""
        return "; ".join(map(str, self.held()))

    def wait(
        self,
        cancel: EventLike,
        told: Callable[[str], object],
        given_up: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Wait until nothing is held; `told` is given why it waits, whenever that is another.

        False if it was cancelled or given up before. Not in a turn.
        """
        said = ""
        while why := self.why():
            if given_up():
                return False
            if why != said:
                said = why
                told(why)
            if self._clock.sleep(LOOK_S, cancel):
                return False
        return not cancel.is_set()

    def _lapse(self) -> None:
        with self._lock:
            self._forget_ended()
            self._set_timer()
        self._changes.set(next(self._told))

    def _forget_ended(self) -> None:
        now_ns = self._clock.monotonic_ns()
        self._locks = {id: each for id, each in self._locks.items() if each.due_ns > now_ns}

    def _set_timer(self) -> None:
        if self._locks:
            self._timer.set(min(each.due_ns for each in self._locks.values()))


def _text(what: str, text: str) -> str:
    line = " ".join(text.split())
    if not line or len(line) > _MAX_TEXT or not line.isprintable():
        raise InvalidValueError(f"busy: a {what} has 1 to {_MAX_TEXT} characters")
    return line
