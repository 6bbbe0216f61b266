"""Expiry: an output is on no longer than its lease, which every set renews, and its `max_on`."""

from __future__ import annotations

from collections.abc import Callable

from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.core.output_limits import Limits
from edgekernel.core.timers import Timer

_AGAIN_NS = NANOSECONDS


class Expiry:
    """When an output has to be safe again. Used under the output's lock."""

    def __init__(
        self,
        limits: Limits,
        clock: Clock,
        timer: Callable[[Callable[[], object]], Timer],
        over: Callable[[], object],
    ) -> None:
        """`over` is called when the time is over, by a timer that `timer` makes."""
        self._clock = clock
        self._ns = {
            name: int(seconds * NANOSECONDS)
            for name, seconds in (("lease", limits.lease_s), ("max_on", limits.max_on_s))
            if seconds is not None
        }
        self._due_ns: dict[str, int] = {}
        self._timer = timer(over)

    def renew(self) -> None:
        """Let the lease begin anew: the output was set, or is about to be."""
        if "lease" in self._ns:
            self._due_ns["lease"] = self._clock.monotonic_ns() + self._ns["lease"]
            self._set_timer()

    def on(self) -> None:
        """Hear, before the driver does, that it is on from now; nothing new if it was on."""
        if "max_on" in self._ns and "max_on" not in self._due_ns:
            self._due_ns["max_on"] = self._clock.monotonic_ns() + self._ns["max_on"]
            self._set_timer()

    def end(self) -> None:
        """Hear that the output is safe, and nothing else is pending."""
        self._due_ns.clear()
        self._timer.cancel()

    def off(self) -> None:
        """Hear that the output is safe; it may be on again later, by what its lease is for."""
        if self._due_ns.pop("max_on", None) is not None:
            self._set_timer()

    def reason(self) -> str:
        """Return which time is over, "lease" or "max_on"; "" if none is."""
        now_ns = self._clock.monotonic_ns()
        return next((name for name, due_ns in self._due_ns.items() if due_ns <= now_ns), "")

    def again(self) -> None:
        """Come back soon: it could not be made safe."""
        self._timer.set(self._clock.monotonic_ns() + _AGAIN_NS)

    def left_s(self, name: str) -> float | None:
        """Return how many seconds are left of the "lease" or of "max_on"; None if it runs not."""
        due_ns = self._due_ns.get(name)
        left_ns = None if due_ns is None else max(0, due_ns - self._clock.monotonic_ns())
        return None if left_ns is None else left_ns / NANOSECONDS

    def _set_timer(self) -> None:
        if self._due_ns:
            self._timer.set(min(self._due_ns.values()))
        else:
            self._timer.cancel()
