"""A fleet on a stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from edgekernel.mqtt import Fleet
from tests.mqtt.parts import settings
from tests.stages import Stage

Enter = Callable[..., Fleet]


@pytest.fixture
def enter(stage: Stage) -> Iterator[Enter]:
    """Give a function that makes a fleet on the stage, entered; it is left at the end."""
    with ExitStack() as stack:

        def enter(**options: Any) -> Fleet:
            how = {"timeout_s": 10.0, "clock": stage.clock, "medium": stage.medium, **options}
            return stack.enter_context(Fleet(settings(stage.port), **how))

        yield enter
