"""What the tests of the simulation share: a clock, and threads on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from edgekernel import Clock
from edgekernel.core.clock import ThreadLike
from edgekernel.sim import SimClock


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


def go(clock: Clock, name: str, target: Callable[..., object], *args: Any) -> ThreadLike:
    """Start a thread of the clock."""
    thread = clock.Thread(partial(target, *args), name)
    thread.start()
    return thread
