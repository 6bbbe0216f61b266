"""The watchdog: notices what takes longer than it may, and when it comes back.

A service stores when its present step began; nothing more is done per tick. The watchdog sleeps
until the earliest moment at which a step could be too long: of a step that runs, its begin plus
the limit; of one that has yet to begin, now plus the limit. So a step that hangs is noticed
exactly at its limit, at the cost of about one wake-up per limit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from edgekernel.core import message
from edgekernel.core.clock import NANOSECONDS, EventLike, ThreadLike, could_start
from edgekernel.core.context import Host
from edgekernel.core.errors import describe, unless_unwound
from edgekernel.core.messages import Message


class Watched(Protocol):
    """Something that works in steps which should not take too long."""

    @property
    def begun_ns(self) -> int | None:
        """When the present step began, on the clock's monotonic time; None between steps."""
        ...

    @property
    def limit_ns(self) -> int | None:
        """How long a step may take; None while there is no limit."""
        ...

    def mark_hung(self, hung: bool) -> None:
        """Set or take away a mark: with it, the end of the step is followed by `look`."""
        ...

    def hangs(self, seconds: float) -> None:
        """Hear that a step has taken this long; called once per spell."""
        ...

    def recovered(self, seconds: float) -> None:
        """Hear that the step that hung has ended, after this long."""
        ...

    def problem(self) -> str:
        """Say why the runtime does not make the progress that it must; "" if it does."""
        ...


class Watchdog:
    """Watches the steps of many, on one thread that is made when it is first needed."""

    def __init__(self, runtime: Host) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()  # around the fields; never while somebody is called
        self._watched: tuple[Watched, ...] = ()
        self._told: dict[Watched, int] = {}
        self._wake: EventLike = runtime.clock.Event()
        self._thread: ThreadLike | None = None
        self._closed = False
        self._feed: Callable[[], object] | None = None
        self._feed_every_ns = self._feed_due_ns = 0

    def watch(self, watched: Watched) -> None:
        """Watch something more."""
        with self._lock:
            self._watched = (*self._watched, watched)

    def forget(self, watched: Watched) -> None:
        """Watch something no more."""
        with self._lock:
            self._watched = tuple(each for each in self._watched if each is not watched)

    def tell(self, what: Message) -> None:
        """Emit what one of the watched has to tell, without waiting for the handlers."""
        self._runtime.post(what)

    def problems(self) -> list[str]:
        """Return why the runtime does not make the progress that it must; empty is healthy."""
        return [problem for each in self._watched if (problem := each.problem())]

    def feed(self, call: Callable[[], object], every_s: float) -> None:
        """Call `call` every `every_s` seconds, from now on, while there are no problems.

        It runs on the watchdog's thread: it stays out too if the watchdog itself hangs. What it
        raises is reported, and it is called again the next time.
        """
        if not every_s > 0:
            raise ValueError(f"every_s={every_s}: a feed needs an interval above 0")
        with self._lock:
            self._feed, self._feed_every_ns = call, int(every_s * NANOSECONDS)
            self._feed_due_ns = self._runtime.clock.monotonic_ns()
        self.look()

    def look(self) -> None:
        """Look again at everything: a limit has changed, or a step that hung has ended.

        If the watchdog cannot be started, that is told, and whoever looks next tries again.
        """
        started = True
        with self._lock:
            if self._thread is None and not self._closed:
                within = self._runtime.turns.within  # whoever is in it is not waited for
                self._thread = self._runtime.clock.Thread(
                    lambda: within(self._run), f"{self._runtime.name}:watchdog"
                )
                if not (started := could_start(self._thread)):
                    self._thread = None
        self._wake.set()
        if not started:
            text = "no thread can be started for it: nobody notices what hangs"
            self._runtime.post(message.BackgroundError("watchdog", text, ""))

    def close(self) -> None:
        """End the thread."""
        with self._lock:
            self._closed = True
        self._wake.set()

    def _run(self) -> None:
        clock = self._runtime.clock
        while True:
            self._wake.clear()
            if self._closed:
                return
            due_ns = self._earliest(self._look_at_steps(), self._look_at_feed())
            left_ns = None if due_ns is None else max(0, due_ns - clock.monotonic_ns())
            self._wake.wait(None if left_ns is None else left_ns / NANOSECONDS)

    @staticmethod
    def _earliest(*dues_ns: int | None) -> int | None:
        return min((due for due in dues_ns if due is not None), default=None)

    def _look_at_steps(self) -> int | None:
        """Tell what has begun or ceased to hang; return when something could hang next."""
        now = self._runtime.clock.monotonic_ns()
        for watched, begun in list(self._told.items()):
            if watched.begun_ns != begun:
                del self._told[watched]
                self._safely(watched.recovered, (now - begun) / NANOSECONDS)
        return self._earliest(*(self._look_at(each, now) for each in self._watched))

    def _look_at(self, watched: Watched, now: int) -> int | None:
        limit, begun = watched.limit_ns, watched.begun_ns
        if limit is None or watched in self._told:
            return None
        due = (now if begun is None else begun) + limit
        if begun is None or now < due:
            return due
        watched.mark_hung(True)
        if watched.begun_ns != begun:  # it has ended before it could see the mark
            watched.mark_hung(False)
            return now
        self._told[watched] = begun
        self._safely(watched.hangs, (now - begun) / NANOSECONDS)
        return None

    def _look_at_feed(self) -> int | None:
        with self._lock:
            feed, every_ns = self._feed, self._feed_every_ns
        if feed is None:
            return None
        now = self._runtime.clock.monotonic_ns()
        if now >= self._feed_due_ns:
            self._feed_due_ns += every_ns * ((now - self._feed_due_ns) // every_ns + 1)
            if not self.problems():
                self._safely(feed)
        return self._feed_due_ns

    def _safely(self, call: Callable[..., object], *facts: object) -> None:
        try:
            call(*facts)
        except BaseException as error:  # it must not end the watch over the others
            text, trace = describe(unless_unwound(error))
            self._runtime.post(message.BackgroundError("watchdog", text, trace))
