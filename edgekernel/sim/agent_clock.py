"""AgentClock: the simulated clock as one agent has it, whose threads end all at once."""

from __future__ import annotations

from collections.abc import Callable

from edgekernel.sim.clock import SimClock
from edgekernel.sim.primitives import SimThread


class AgentClock:
    """A Clock that is the given one, but for the threads: those that are made by it can be ended.

    So a simulated agent can be killed while the world around it goes on.
    """

    def __init__(self, clock: SimClock) -> None:
        """Take the clock of the simulation."""
        self.seed = clock.seed
        """What chooses the order of what is due at once."""
        self._clock = clock
        # Its own methods, so that nothing takes longer than on the clock itself.
        self.now_utc = clock.now_utc
        self.time_ns = clock.time_ns
        self.monotonic = clock.monotonic
        self.monotonic_ns = clock.monotonic_ns
        self.uptime = clock.uptime
        self.sleep = clock.sleep
        self.wait_until = clock.wait_until
        self.hand_over = clock.hand_over
        self.flow = clock.flow
        self.Event = clock.Event
        self.Lock = clock.Lock
        self.Condition = clock.Condition
        self.Queue = clock.Queue

    def Thread(self, target: Callable[[], object], name: str) -> SimThread:
        """Make a thread of the agent that is not started yet."""
        return SimThread(self._clock, target, name, owner=self)

    def check_outside(self) -> None:
        """Raise SimulationError in a thread of the agent."""
        self._clock.check_not_of(self)

    def end(self) -> None:
        """End every thread of the agent where it waits. Raises SimulationError in one of them."""
        self._clock.end_threads(self)
