"""What a driver raises when it is told an edge."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Device, Runtime, message
from edgekernel.hal import DigitalInput, Edge, Pull
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import Bench, SimClock

NodeFile = Callable[..., Path]

BELL = '[devices.bell]\ndriver = "button"\npin = "GPIO22"\ndebounce = 0\n'


class Doubtful(Device):
    """A driver that divides by the number of the edge, from 1 down."""

    def __init__(self, id: str, *, pin: DigitalInput, settle: float = 0.0) -> None:
        super().__init__(id)
        self._pin = pin
        self._settle_s = settle
        self.shares: list[float] = []
        self._left = 1

    def connect(self) -> None:
        """Claim the line."""
        self._pin.open(Pull.UP, self._on_edge, settle_s=self._settle_s)

    def disconnect(self) -> None:
        """Give it back."""
        self._pin.close()

    def _on_edge(self, edge: Edge) -> None:
        left, self._left = self._left, self._left - 1
        self.shares.append(1 / left)


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


def node(path: Path, clock: SimClock, settle_s: float = 0.0) -> tuple[Runtime, Bench]:
    """Return a node whose device `doubtful` has the driver of above."""
    plan = make_plan(path)
    devices = tuple(
        replace(each, driver=Doubtful, settings={"settle": settle_s})
        if each.id == "doubtful"
        else each
        for each in plan.devices
    )
    return assemble_simulated(replace(plan, devices=devices), clock, Runtime)


@pytest.mark.parametrize("settle_s", [0.0, 0.02])
@pytest.mark.parametrize("line", ["GPIO17", "io:GPA3"])
def test_it_is_told(
    node_file: NodeFile,
    clock: SimClock,
    caplog: pytest.LogCaptureFixture,
    line: str,
    settle_s: float,
) -> None:
    """P3: it becomes a message with its traceback, on any kind of line; later edges are told as
    ever, the device stays online, and other lines are heard."""
    io = '[devices.io]\ndriver = "mcp23017"\nbus = "i2c1"\nevery = "50ms"\n'
    text = f'[devices.doubtful]\ndriver = "contact"\npin = "{line}"\n'
    runtime, bench = node(node_file(BELL + io + text), clock, settle_s)
    failed: list[Any] = []
    runtime.subscribe(message.DeviceFailed, lambda event: failed.append(event.payload))
    with runtime:
        bench.line(line).drive(True)
        clock.advance(1)
        for level in (False, True, False):
            bench.line(line).drive(level)
            clock.advance(1)
        doubtful, bell = runtime.devices["doubtful"], runtime.devices["bell"]
        assert isinstance(doubtful, Doubtful)
        assert [share for share in doubtful.shares if abs(share) == 1] == [1.0, -1.0]
        assert [each.device for each in failed] == ["doubtful"]
        assert failed[0].error == "ZeroDivisionError: division by zero"
        assert "in _on_edge" in failed[0].traceback
        assert all(device.online for device in (doubtful, bell, runtime.devices["io"]))
        bench.press("bell")
        clock.advance(1)
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


def test_without_a_runtime_it_is_logged(
    node_file: NodeFile, clock: SimClock, caplog: pytest.LogCaptureFixture
) -> None:
    """While no runtime has the device there is nobody to tell: the boundary logs it."""
    text = '[devices.doubtful]\ndriver = "contact"\npin = "GPIO17"\n'
    runtime, bench = node(node_file(text), clock)
    device = runtime.devices["doubtful"]
    device.connect()
    for level in (True, False, True):
        bench.line("GPIO17").drive(level)
    device.disconnect()
    assert "GPIO17: what was called for its edge raised" in caplog.text
    bench.backend.close()
