"""A runtime on the simulated board: real drivers, simulated chips, simulated time."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from edgekernel import Device, Event, Message, Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.sim import SimClock


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def backend(clock: SimClock) -> Iterator[SimBackend]:
    """A simulated board on that clock."""
    backend = SimBackend(clock)
    yield backend
    backend.close()


@pytest.fixture
def events() -> list[Event]:
    """What the booted runtime has emitted."""
    return []


@pytest.fixture
def boot(clock: SimClock, events: list[Event]) -> Iterator[Callable[..., Runtime]]:
    """Boot a runtime with these devices; it is shut down at the end of the test."""
    with ExitStack() as stack:

        def boot(*devices: Device) -> Runtime:
            runtime = Runtime(clock=clock)
            runtime.subscribe(Message, events.append)
            for device in devices:
                runtime.attach_device(device)
            return stack.enter_context(runtime)

        yield boot
