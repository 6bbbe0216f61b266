"""Retry: comes back to an output that could not be made safe."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgekernel.core.backoff import Backoff
from edgekernel.core.clock import NANOSECONDS

if TYPE_CHECKING:
    from edgekernel.core.context import Host
    from edgekernel.core.timers import Timer

_FIRST_S = 1.0
_LONGEST_S = 60.0


class Retry:
    """Whether an output is to be made safe as soon as its driver can, and when that is tried next.

    A second after the failure, then later and later, up to a minute: who hangs on a bus that
    is dead keeps others waiting less and less.
    """

    def __init__(self, label: str, host: Host, call: Callable[[], object]) -> None:
        """`call` tries again; its errors are its own."""
        self._backoff = Backoff(label, _FIRST_S, _LONGEST_S)
        self._now_ns = host.clock.monotonic_ns
        self._timer: Timer = host.outputs.timer(call)

    def later(self) -> None:
        """Try again after a time: it has failed."""
        delay_ns = int(self._backoff.failed() * NANOSECONDS)
        self._timer.set(self._now_ns() + delay_ns)

    def end(self) -> None:
        """Try no more."""
        self._timer.cancel()
