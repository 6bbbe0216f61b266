"""What the tests of the worlds share: places that are played by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgekernel.sim import Actuator


@pytest.fixture
def at() -> Callable[[float], Actuator]:
    """Give a function that makes an actuator at a share."""
    return lambda share: Actuator("played", lambda: share)
