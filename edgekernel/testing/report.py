"""The section in the report of a failed test: seed, simulated time, events, how to repeat it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekernel.testing.seeds import again
from edgekernel.testing.times import moment

if TYPE_CHECKING:
    from edgekernel.testing.simulation import Simulation


def describe(simulation: Simulation, test: str) -> str:
    """Say what there is to know of a simulation in which a test has failed."""
    seed = "none: the order of waiting" if simulation.seed is None else str(simulation.seed)
    lines = [
        f"simulated time  {moment(simulation.clock.monotonic_ns())}",
        f"seed            {seed}",
        f"again           {again(test, simulation.seed)}",
    ]
    events = simulation.events.lines()
    if events:
        lines.append(f"last {len(events)} of {len(simulation.events)} events:")
        lines += [f"  {event}" for event in events]
    return "\n".join(lines)
