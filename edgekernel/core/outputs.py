"""Outputs: what those of one runtime share: time, threads, who excludes whom, what is kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from edgekernel.core.memory import Memory, Transient
from edgekernel.core.workers import Workers

if TYPE_CHECKING:
    from edgekernel.core.context import Host
    from edgekernel.core.interlocks import Interlocks
    from edgekernel.core.leases import Leases
    from edgekernel.core.timers import Timer


class Outputs:
    """Made with the runtime; threads come when the first output needs one."""

    def __init__(self, runtime: Host, memory: Memory | None) -> None:
        """Keep what is to outlive the runtime in `memory`; without one, nothing does."""
        self._runtime = runtime
        self.memory = Transient() if memory is None else memory
        self.interlocks: Interlocks | None = None
        """Who excludes whom; None while nobody excludes anybody."""
        self.leases: Leases | None = None
        """Which controllers have to be alive; None if none has."""
        self.left_unsafe: set[str] = set()
        """Outputs whose device has gone while they were not known to be at their safe value."""
        self._workers = Workers(
            runtime.clock, f"{runtime.name}:outputs", runtime.turns.failed, math.inf
        )

    def timer(self, call: Callable[[], object]) -> Timer:
        """Return a timer whose call may drive an output: one that hangs keeps no other waiting.

        However many hang, as each has its thread: an output's lock lets no more than one of its
        own in. If no thread can be had, the call is made on that of the timers.
        """
        return self._runtime.timers.timer(partial(self.beside, call))

    def beside(self, call: Callable[[], object]) -> None:
        """Make a call that may drive outputs on a thread of its own; here if none can be had."""
        try:
            self._workers.submit(partial(self._runtime.turns.elsewhere, call))
        except RuntimeError:
            call()

    def join_interlocks(self) -> Interlocks:
        """Return who excludes whom; made when somebody is the first to exclude another one."""
        if self.interlocks is None:
            from edgekernel.core.interlocks import Interlocks  # few nodes have some

            self.interlocks = Interlocks()
        return self.interlocks

    def close(self) -> None:
        """End the threads, each after what it does, and write down what is to be kept."""
        self._workers.close()
        self.memory.close()
