"""The simulation of the test that runs: whose time passes where an assertion waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from edgekernel.testing.simulation import Simulation

running: list[Simulation] = []
"""The innermost is the last."""


@overload
def simulation() -> Simulation | None: ...
@overload
def simulation(needed_for: str) -> Simulation: ...
def simulation(needed_for: str = "") -> Simulation | None:
    """Return the simulation that runs; with a purpose, raise RuntimeError if there is none."""
    if running:
        return running[-1]
    if needed_for:
        raise RuntimeError(
            f"{needed_for} needs simulated time: let the test have the fixture `sim`, `node` or "
            "`runtime`"
        )
    return None
