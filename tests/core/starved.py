"""What the tests of a process that may have no more threads share."""

from __future__ import annotations

from collections.abc import Callable

from edgekernel.sim import SimClock
from edgekernel.sim.primitives import SimThread


class StarvedClock(SimClock):
    """A simulated clock on which threads cannot be started while `starved` is part of their name;
    None starves nobody, "" everybody."""

    starved: str | None = None

    def Thread(self, target: Callable[[], object], name: str) -> SimThread:
        return _Thread(self, target, name)


class _Thread(SimThread):
    def start(self) -> None:
        assert isinstance(self._clock, StarvedClock)
        starved = self._clock.starved
        if starved is not None and starved in self.name:
            raise RuntimeError("can't start new thread")  # what `threading` raises
        super().start()
