"""A simulated board on simulated time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgekernel.backends.sim import SimBackend
from edgekernel.sim.clock import SimClock


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock at 0 s."""
    with SimClock() as made:
        yield made


@pytest.fixture
def backend(clock: SimClock) -> Iterator[SimBackend]:
    """A SimBackend."""
    made = SimBackend(clock)
    yield made
    made.close()
