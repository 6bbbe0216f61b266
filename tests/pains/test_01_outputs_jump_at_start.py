"""Pain 1: outputs jump when the controller starts: the boiler fires, the gate opens.

flyte/mqtt-io#23, #76, #131, #283; kizniche/Mycodo#555, #891; esphome/issues#2234, #3094;
arendst/Tasmota#15628.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest

from edgekernel import SystemClock
from edgekernel.backends.linux import LinuxBackend
from edgekernel.sim import SimClock
from tests.backends.linux.conftest import Machine
from tests.pains.conftest import MakeLinuxNode, MakeNode, Node

GATE = """
data = "kept"

[devices.gate]
driver = "relay"
pin = "GPIO17"
active_high = {active_high}
safe = "{safe}"

[devices.gate.outputs.power]
initial = {initial}
"""

EXPANDED = """
[devices.io]
driver = "{chip}"
bus = "i2c1"
"""
LINES = {"mcp23017": "GPA0", "pcf8574": "P0"}

MODES = [  # safe, initial, what it begins with if the relay was off, and if it was on
    ("off", '"safe"', False, False),
    ("on", '"safe"', True, True),
    ("off", "true", True, True),
    ("on", "false", False, False),
    ("off", '"as-is"', False, True),
    ("off", '"restore"', False, True),
]


def killed(make_node: MakeNode, text: str, was_on: bool) -> Node:
    """Let a node set the gate and be killed half a minute later: nothing of it runs any more."""
    with SimClock() as clock:
        node = make_node(text, remember=True, clock=clock)
        node.runtime.boot()
        node.output("gate.power").set(was_on)
        clock.advance(31)  # what is to be restored is on the disk
    return node


class Watched:
    """A chip of which each level of one line is noted."""

    def __init__(self, chip: Any, line: str) -> None:
        self._chip = chip
        self._line = chip.line(line)
        self.levels: list[bool] = [self._line.level]

    def write(self, data: bytes) -> None:
        """Take bytes."""
        self._chip.write(data)
        if self._line.level is not self.levels[-1]:
            self.levels.append(self._line.level)

    def read(self, length: int) -> bytes:
        """Give bytes."""
        answer: bytes = self._chip.read(length)
        return answer


@pytest.mark.parametrize(("safe", "initial", "if_off", "if_on"), MODES)
@pytest.mark.parametrize("active_high", [True, False], ids=["active-high", "active-low"])
@pytest.mark.parametrize("was_on", [False, True], ids=["was-off", "was-on"])
def test_no_edge_from_power_on_to_safe(
    make_node: MakeNode,
    clock: SimClock,
    safe: str,
    initial: str,
    if_off: bool,
    if_on: bool,
    active_high: bool,
    was_on: bool,
) -> None:
    """The agent restarts, and the gate opens for a moment: with every initial mode the line goes
    straight to where it begins, stays there, and moves at the end only if safe is elsewhere."""
    text = GATE.format(active_high=str(active_high).lower(), safe=safe, initial=initial)
    killed(make_node, text, was_on)
    begins, ends = if_on if was_on else if_off, safe == "on"
    node = make_node(text, remember=True)
    line = node.bench.line("GPIO17")
    line.drive(was_on is active_high)  # where the relay was when the agent went
    seen: list[bool] = []
    line.watch(seen.append)
    with node.runtime:
        clock.advance(3600)
        assert seen == ([] if begins is was_on else [begins is active_high])
        assert node.backend.line("GPIO17").levels == (begins is active_high,)
        del seen[:]
    assert seen == ([] if begins is ends else [ends is active_high])
    assert (node.backend.line("GPIO17").function, line.level) == ("output", ends is active_high)


@pytest.mark.parametrize(("safe", "initial", "if_off", "if_on"), MODES)
@pytest.mark.parametrize("chip", LINES)
@pytest.mark.parametrize("was_on", [False, True], ids=["was-off", "was-on"])
def test_no_edge_on_an_expander(
    make_node: MakeNode,
    clock: SimClock,
    safe: str,
    initial: str,
    if_off: bool,
    if_on: bool,
    chip: str,
    was_on: bool,
) -> None:
    """The same for a gate on an expander, which keeps its levels while the agent is gone."""
    text = GATE.format(active_high="false", safe=safe, initial=initial)
    text = text.replace("GPIO17", f"io:{LINES[chip]}") + EXPANDED.format(chip=chip)
    watched = Watched(killed(make_node, text, was_on).bench.chip("io"), LINES[chip])
    assert watched.levels == [not was_on]
    node = make_node(text, remember=True)
    node.bus().unplug(0x20)
    node.bus().plug(0x20, watched)
    begins, ends = if_on if was_on else if_off, safe == "on"
    with node.runtime:
        clock.advance(30)
        assert watched.levels == [not each for each, _ in groupby([was_on, begins])]
    assert watched.levels == [not each for each, _ in groupby([was_on, begins, ends])]


@pytest.fixture
def linux(machine: Machine) -> Iterator[LinuxBackend]:
    """A LinuxBackend on the stand-in for lgpio."""
    made = LinuxBackend(SystemClock(), folder=machine.folder)
    yield made
    made.close()


@pytest.mark.parametrize("active_high", [True, False], ids=["active-high", "active-low"])
def test_one_claim_on_linux(
    make_linux_node: MakeLinuxNode, linux: LinuxBackend, machine: Machine, active_high: bool
) -> None:
    """mqtt-io came up low whatever `initial` said: on Linux the claim itself carries the level of
    the safe value, and nothing that follows has another one."""
    text = '[devices.boiler]\ndriver = "relay"\npin = "GPIO17"\nactive_high = '
    runtime = make_linux_node(text + str(active_high).lower(), linux, board="raspberrypi/4b")
    off = int(not active_high)
    with runtime:
        assert machine.calls[0] == ("claim_output", 1, 17, off)
        assert all(call == ("write", 1, 17, off) for call in machine.calls[1:])
