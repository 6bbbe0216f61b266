"""Boots: who has accepted a message, and how its monotonic time becomes a wall time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgekernel.core.clock import Clock
from edgekernel.core.time_quality import is_simulated, system_quality

_MACHINE = Path("/proc/sys/kernel/random/boot_id")


@dataclass(slots=True, eq=False)
class Boot:
    """One start of the agent."""

    id: str
    machine: str
    """Of the computer's start: agents that share it share a monotonic time."""
    offset_ns: int | None = None
    """The wall time less the monotonic time, once it is known."""
    base: int = 0
    """The key in the file of the message before this boot's first."""


def machine_boot(clock: Clock, boot: str) -> str:
    """Return the id of the computer's start, or the agent's where time is its own."""
    try:
        return boot if is_simulated(clock) else _MACHINE.read_text("ascii").strip()
    except OSError:  # not on Linux
        return boot


class WallTime:
    """Knows whether the wall time is to be believed, and gives it to the boots that lack it."""

    def __init__(self, clock: Clock, boot: Boot, quality: Callable[[], str] | None) -> None:
        """Ask `quality`: everything but "unsynchronised" is believed. By default the kernel
        is asked; a simulated time is always believed."""
        self._clock = clock
        self._boot = boot
        self._quality = quality or (system_quality if not is_simulated(clock) else _believed)
        self.known = False

    def refresh(self) -> None:
        """Look whether the time is known now."""
        self.known = self._quality() != "unsynchronised"

    def back_fill(self, boots: list[Boot]) -> list[Boot]:
        """Give the offset to the boots of this computer's start that lack it.

        Returns those of `boots` to which that was news; the running one need not be among them.
        """
        if not self.known:
            return []
        offset_ns = self._clock.time_ns() - self._clock.monotonic_ns()
        lacking = [b for b in boots if b.offset_ns is None and b.machine == self._boot.machine]
        for boot in [*lacking, self._boot]:
            if boot.offset_ns is None:
                boot.offset_ns = offset_ns
        return lacking

    def of(self, monotonic_ns: int) -> int | None:
        """Return the wall time that belongs to a recent monotonic time; None if unknown."""
        if not self.known:
            return None
        return self._clock.time_ns() - (self._clock.monotonic_ns() - monotonic_ns)


def _believed() -> str:
    return "simulated"
