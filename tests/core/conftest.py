"""What the tests of the core share."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edgekernel import Runtime
from edgekernel.sim import SimClock
from tests.core.parts import Steps


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Let threads take turns as often as the interpreter can, to provoke races."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait until something holds that another thread brings about, for at most 10 seconds."""
    tick = threading.Event()

    def wait(holds: Callable[[], bool]) -> None:
        for _ in range(10_000):
            if holds():
                return
            tick.wait(0.001)
        raise AssertionError("it did not come about in time")

    return wait


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


class Simulation:
    """A simulated clock, and runtimes that live on it."""

    def __init__(self) -> None:
        self.clock = SimClock()
        self.runtimes: list[Runtime] = []

    def runtime(self, **options: Any) -> Runtime:
        """Make a runtime that is shut down when the test ends."""
        self.runtimes.append(Runtime(clock=self.clock, **options))
        return self.runtimes[-1]

    def advance(self, seconds: float) -> None:
        """Let simulated time pass."""
        self.clock.advance(seconds)


@pytest.fixture
def sim() -> Iterator[Simulation]:
    """Simulated time (promise P10)."""
    simulation = Simulation()
    yield simulation
    for runtime in simulation.runtimes:
        runtime.shutdown("the test has ended")
        runtime.turns.close()
    simulation.clock.close()


@pytest.fixture
def steps() -> Steps:
    """What the parts of a test note."""
    return Steps()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hanging parts wait for; it opens when the test ends, so that they end too."""
    event = threading.Event()
    yield event
    event.set()
