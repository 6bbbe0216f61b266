"""What the tests of replayed boundaries share: a clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgekernel.sim import SimClock


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock."""
    with SimClock() as clock:
        yield clock
