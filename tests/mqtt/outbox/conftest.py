"""What the tests of the outbox share: a clock, a link in memory, and an outbox on both."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Message
from edgekernel.mqtt.outbox import Outbox, OutboxTable
from edgekernel.sim import SimClock
from tests.mqtt.outbox.links import Broker


@pytest.fixture(autouse=True)
def no_file_is_left_open(tmp_path: Path) -> Iterator[None]:
    """Check that no file below the test's folder is left open."""
    yield
    links = [f"/proc/self/fd/{each}" for each in os.listdir("/proc/self/fd")]
    names = [os.readlink(link) for link in links if os.path.islink(link)]
    assert [name for name in names if name.startswith(str(tmp_path))] == []


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of an outbox, which is not there yet."""
    return tmp_path / "outbox.db"


@pytest.fixture
def broker() -> Broker:
    """A link that acknowledges when it is told to."""
    return Broker()


@pytest.fixture
def told() -> list[Message]:
    """What the outbox has told."""
    return []


Open = Callable[..., Outbox]


@pytest.fixture
def open_outbox(clock: SimClock, file: Path, broker: Broker, told: list[Message]) -> Iterator[Open]:
    """Open an outbox, each time as another boot; what is left open is closed."""
    opened: list[Outbox] = []

    def open(*, boot: str = "", settle: bool = True, path: Path = file, **more: Any) -> Outbox:
        arguments = {key: more.pop(key) for key in ("quality", "machine", "base") if key in more}
        name = boot or f"boot{len(opened)}"
        table = OutboxTable(**{"commit_every": 0.05, **more})
        outbox = Outbox(path, clock, boot=name, table=table, tell=told.append, **arguments)
        outbox.start()
        opened.append(outbox)
        if settle:
            clock.advance(0.001)
        return outbox

    yield open
    for outbox in opened:
        outbox.close()


def number(value: object) -> bytes:
    """Return a payload with a value."""
    return json.dumps({"value": value}).encode()
