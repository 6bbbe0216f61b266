"""What the tests of the core share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edgekernel import Runtime


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Let threads take turns as often as the interpreter can, to provoke races."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def make_runtime() -> Iterator[Callable[..., Runtime]]:
    """Make runtimes that are shut down when the test ends."""
    made: list[Runtime] = []

    def make(**options: Any) -> Runtime:
        made.append(Runtime(**{"shutdown_limit_s": 5.0, **options}))
        return made[-1]

    yield make
    for runtime in made:
        runtime.shutdown("the test has ended")
        runtime.turns.close()
