"""Pain 1: outputs jump when the controller starts: the boiler fires, the gate opens.

flyte/mqtt-io#23, #76, #131, #283; kizniche/Mycodo#555, #891; esphome/issues#2234, #3094;
arendst/Tasmota#15628.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgekernel import SystemClock
from edgekernel.backends.linux import LinuxBackend
from edgekernel.sim import SimClock
from tests.backends.linux.conftest import Machine
from tests.pains.conftest import MakeLinuxNode, MakeNode

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

MODES = [  # safe, initial, what it begins with if the relay was off, and if it was on
    ("off", '"safe"', False, False),
    ("on", '"safe"', True, True),
    ("off", "true", True, True),
    ("on", "false", False, False),
    ("off", '"as-is"', False, True),
    ("off", '"restore"', False, True),
]


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
    before = make_node(text, remember=True)
    with before.runtime:
        before.output("gate.power").set(was_on)
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
