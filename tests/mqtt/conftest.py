"""A broker, a foreign client and a node with simple devices."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.brokers import LIMIT_S, Mosquitto, Watcher, watching
from tests.stages import KINDS, SimStage, Stage, staged


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Check that a test ends every thread it has started."""
    before = set(threading.enumerate())
    yield
    end = time.monotonic() + LIMIT_S
    for thread in set(threading.enumerate()) - before:
        thread.join(max(0.0, end - time.monotonic()))
        assert not thread.is_alive(), f"{thread.name} is left behind"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """Give a real broker, started."""
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def watcher(broker: Mosquitto) -> Iterator[Watcher]:
    """Give a foreign client that receives everything."""
    with watching(broker.port) as watcher:
        yield watcher


@pytest.fixture(params=KINDS)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Give a broker, started: mosquitto, and ours."""
    with staged(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def sim_stage() -> Iterator[SimStage]:
    """Give our broker in simulated time."""
    with ExitStack() as stack:
        yield SimStage(stack)
