"""A whole node for each story: a node file, planned, and assembled on simulated time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

from edgekernel import Event, Message, Runtime
from edgekernel.backends.backend import Backend
from edgekernel.backends.sim import SimBackend, SimI2CBus
from edgekernel.node import assemble, make_plan
from edgekernel.node.simulate import plug_chips
from edgekernel.sim import SimClock
from edgekernel.sim.bench import Bench
from tests.backends.linux import conftest as linux

HEAD = '[node]\nname = "bench"\nboard = "{board}"\n'

machine = linux.machine


@dataclass
class Node:
    """A node, its surroundings, and what it has said."""

    runtime: Runtime
    bench: Bench
    backend: SimBackend
    events: list[Event] = field(default_factory=list)

    def output(self, label: str) -> Any:
        """Return an output by device and name, such as "heater.power"."""
        device, _, name = label.partition(".")
        return self.runtime.devices[device].outputs[name]

    def reading(self, label: str) -> Any:
        """Return a reading by device and name, such as "room.temperature"."""
        device, _, name = label.partition(".")
        return self.runtime.devices[device].readings[name]

    def bus(self, name: str = "i2c1") -> SimI2CBus:
        """Return a bus from outside, with its faults."""
        return self.backend.bus(name)

    def told(self, *kinds: type[Message]) -> list[Message]:
        """Return what it has said of some kinds."""
        return [each.payload for each in self.events if isinstance(each.payload, kinds)]


class MakeNode(Protocol):
    """Makes a node from the text of a node file, not booted."""

    def __call__(
        self, text: str, *, board: str = "sim", remember: bool = False, clock: SimClock = ...
    ) -> Node: ...


class MakeLinuxNode(Protocol):
    """Makes a node on a Linux backend from the text of a node file, not booted."""

    def __call__(self, text: str, backend: Backend, *, board: str = "sim") -> Runtime: ...


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


def write(folder: Path, text: str, board: str) -> Path:
    """Write a node file; what comes before the first table belongs to `[node]`."""
    path = folder / "node.toml"
    path.write_text(HEAD.format(board=board) + text, encoding="utf-8")
    return path


@pytest.fixture
def make_node(clock: SimClock, tmp_path: Path) -> Iterator[MakeNode]:
    """Make nodes on the simulated board; their lines are given back at the end."""
    with ExitStack() as stack:

        def make(
            text: str, *, board: str = "sim", remember: bool = False, clock: SimClock = clock
        ) -> Node:
            plan = make_plan(write(tmp_path, text, board))
            backend = SimBackend(clock)
            stack.callback(backend.close)
            runtime = assemble(plan, backend, clock, Runtime, remember=remember)
            bench = plug_chips(plan, backend, clock)
            runtime.register(bench)
            node = Node(runtime, bench, backend)
            runtime.subscribe(Message, node.events.append)
            return node

        yield make


@pytest.fixture
def make_linux_node(clock: SimClock, tmp_path: Path) -> MakeLinuxNode:
    """Make nodes on a Linux backend, whose files are a stand-in's or real ones."""

    def make(text: str, backend: Backend, *, board: str = "sim") -> Runtime:
        return assemble(make_plan(write(tmp_path, text, board)), backend, clock, Runtime)

    return make
