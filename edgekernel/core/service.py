"""Services: what works by time, each on its own supervised thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.context import Context
from edgekernel.core.role import Role

RestartPolicy = Literal["no", "on-failure", "always"]


class Service(Role):
    """Ticks on its own thread, at absolute deadlines `interval` seconds apart.

    A tick that raises ends the run, and so does `finish`, without an error: `stop` is called and,
    by its `restart` policy, the service starts anew after a delay that doubles from `backoff_s`
    up to `backoff_limit_s` (a fifth more or less), at most `restart_budget[0]` times in
    `restart_budget[1]` seconds. After a run of `backoff_limit_s` or more the delay begins anew.
    A `critical` service that fails halts the runtime into the safe state.
    """

    interval: float = 1.0
    """Seconds between ticks; 0 ticks without a pause, for ticks that wait by themselves."""
    tick_limit_s: float | None = None
    """Seconds that a tick, `start` or `stop` may take before it counts as hung; `math.inf` is no
    limit. None is ten intervals, 10 s at least; at interval 0 it is no limit for ticks, as they
    wait for something, and 10 s for `start` and `stop`."""
    enabled: bool = True
    restart: RestartPolicy = "on-failure"
    """When to start anew: never, after a failure, or also after a run that `finish` has ended."""
    critical: bool = False
    backoff_s: float = 1.0
    backoff_limit_s: float = 60.0
    restart_budget: ClassVar[tuple[int, float]] = (5, 300.0)
    wake: Callable[[], object] = staticmethod(lambda: None)
    """Makes the supervisor ask `woken` for the deadline again; callable from any thread."""
    finished: bool = False
    """Whether `finish` was called in this run."""

    def tick(self, ctx: Context) -> None:
        """Do what is to be done now."""

    def finish(self) -> None:
        """End this run, without an error, as soon as no tick runs; callable from any thread.

        What its ticks have set stays as it is.
        """
        self.finished = True
        self.wake()

    def next_deadline_ns(self, deadline_ns: int, now_ns: int) -> int:
        """Return when to tick next, in the clock's monotonic nanoseconds.

        `deadline_ns` is when this tick was to begin. The default is one interval after that; a
        time in the past means that ticks were missed, which the supervisor reports and skips.
        """
        return deadline_ns + int(self.interval * NANOSECONDS)

    def woken(self, deadline_ns: int) -> int:
        """Return when to tick after a `wake`; the default leaves the deadline as it is."""
        return deadline_ns
