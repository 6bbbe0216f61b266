"""The safe state without the agent: outputs of a node whose agent was killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Runtime
from edgekernel.core.output import Output
from edgekernel.node import Plan, make_plan
from edgekernel.node.safe_state import SafeOutput, SafeState, make_safe
from edgekernel.node.simulated_node import SimulatedNode
from edgekernel.sim import SimClock

NodeFile = Callable[..., Path]

RELAYS = """
[devices.pump]
driver = "relay"
pin = "GPIO17"
active_high = false

[devices.pump.outputs.power]
min_on = "1h"

[devices.door]
driver = "relay"
pin = "GPIO27"
safe = "on"
"""
EXPANDER = """
[devices.expander]
driver = "mcp23017"
bus = "i2c1"

[devices.valve]
driver = "relay"
pin = "expander:GPA3"

[devices.dimmer]
driver = "pca9685"
bus = "i2c1"
address = 0x41
"""


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


def killed(plan: Plan, clock: SimClock, away: dict[str, bool]) -> SimulatedNode[Runtime]:
    """Run a node, set these outputs, and kill its agent."""
    node: SimulatedNode[Runtime] = SimulatedNode(plan, clock, Runtime)
    node.start()
    for label, value in away.items():
        id, _, name = label.partition(".")
        output: Output[Any] = node.runtime.devices[id].outputs[name]
        output.set(value)
    clock.advance(2)
    node.kill()
    clock.advance(1)
    return node


def test_lines(node_file: NodeFile, clock: SimClock) -> None:
    """After `kill -9` of the agent the lines have what it drove; then each has its safe level, of
    whichever polarity, however long it is to stay on in normal times."""
    plan = make_plan(node_file(RELAYS))
    node = killed(plan, clock, {"pump.power": True, "door.power": False})
    pump, door = node.board.line("GPIO17"), node.board.line("GPIO27")
    assert (pump.level, door.level) == (False, False)
    found = make_safe(plan, node.board, clock)
    assert found == [SafeOutput("pump.power", False), SafeOutput("door.power", True)]
    assert (pump.function, pump.level) == ("output", True)
    assert (door.function, door.level) == ("output", True)


def test_nothing_jumps(node_file: NodeFile, clock: SimClock) -> None:
    """An output that is safe stays so: an initial value other than the safe one is not driven."""
    text = RELAYS.replace('min_on = "1h"', "initial = true")
    plan = make_plan(node_file(text))
    node = killed(plan, clock, {"pump.power": False})
    line = node.board.line("GPIO17")
    levels: list[bool] = []
    line.watch(levels.append)
    make_safe(plan, node.board, clock)
    assert False not in levels
    assert line.level


def test_outputs_behind_a_bus(node_file: NodeFile, clock: SimClock) -> None:
    """A relay on a line of an expander is brought to its safe value as well, through the bus."""
    plan = make_plan(node_file(EXPANDER))
    node = killed(plan, clock, {"valve.power": True})
    chip = node.bench.chip("expander")
    assert chip.line("GPA3").level is True
    found = make_safe(plan, node.board, clock)
    assert SafeOutput("valve.power", False) in found
    assert not any(each.problem for each in found)
    assert chip.line("GPA3").level is False


def test_a_stuck_bus_keeps_nobody_waiting(node_file: NodeFile, clock: SimClock) -> None:
    """What is behind a bus that is stuck is told with its reason after the limit; the lines of the
    board are safe at once."""
    plan = make_plan(node_file(RELAYS + EXPANDER))
    node = killed(plan, clock, {"pump.power": True, "valve.power": True})
    node.board.bus("i2c1").stick("sda")
    when: list[float] = []
    before = clock.monotonic()
    node.board.line("GPIO17").watch(lambda level: when.append(clock.monotonic() - before))
    found = {each.output: each for each in make_safe(plan, node.board, clock, limit_s=3)}
    assert when
    assert when[0] < 0.1
    assert not found["pump.power"].problem
    assert "sda is held low" in found["valve.power"].problem
    assert clock.monotonic() - before < 3 + 5


def test_a_bus_that_comes_back(node_file: NodeFile, clock: SimClock) -> None:
    """What cannot be driven at first is tried again until the limit."""
    plan = make_plan(node_file(EXPANDER))
    node = killed(plan, clock, {"valve.power": True})
    bus = node.board.bus("i2c1")
    bus.stick("sda")
    node.bench.later(2, bus.release)
    found = make_safe(plan, node.board, clock, limit_s=20)
    assert not any(each.problem for each in found)


@pytest.mark.parametrize("kind", ["pulse_counter", "mcp23017"])
def test_a_sensor_that_hangs_keeps_nobody_waiting(
    node_file: NodeFile, clock: SimClock, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """What has no outputs is not touched, and a chip that has a line of the board beside its bus
    keeps only its bus waiting."""
    from edgekernel_devices.mcp23017 import MCP23017
    from edgekernel_devices.pulse_counter import PulseCounter

    sensor = '[devices.meter]\ndriver = "pulse_counter"\npin = "GPIO22"\n'
    chip = EXPANDER.replace('bus = "i2c1"', 'bus = "i2c1"\ninterrupt = "GPIO22"', 1)
    plan = make_plan(node_file((sensor if kind == "pulse_counter" else chip) + RELAYS))
    node = killed(plan, clock, {"pump.power": True})
    for each in (MCP23017, PulseCounter):
        monkeypatch.setattr(each, "connect", lambda self: clock.sleep(3600))
    found = {each.output: each for each in make_safe(plan, node.board, clock, limit_s=3)}
    assert not found["pump.power"].problem
    assert node.board.line("GPIO17").level is True  # active low


def test_without_outputs(node_file: NodeFile, clock: SimClock) -> None:
    """Of a node without outputs nothing is touched."""
    plan = make_plan(node_file('[devices.room]\ndriver = "bme280"\nbus = "i2c1"\n'))
    node = killed(plan, clock, {})
    assert make_safe(plan, node.board, clock) == []


SERVO = '[devices.gate]\ndriver = "servo"\npin = "GPIO18"\npulse_low = {low}\npulse_high = 0.002\n'


def test_a_driver_that_refuses(node_file: NodeFile, clock: SimClock) -> None:
    """A device whose driver refuses its settings is told of, and keeps none of the others from
    being safe that wait for the same: lines of the board, and what is behind an expander there."""
    others = RELAYS + EXPANDER.replace('bus = "i2c1"', 'bus = "i2c1"\ninterrupt = "GPIO22"', 1)
    plan = make_plan(node_file(others + SERVO.format(low=0.001)))
    node = killed(plan, clock, {"pump.power": True, "door.power": False, "valve.power": True})
    wrong = make_plan(node_file(others + SERVO.format(low=0.002)))
    found = {each.output: each for each in make_safe(wrong, node.board, clock)}
    assert "pulse_low and pulse_high are equal" in found.pop("gate").problem
    assert not any(each.problem for each in found.values())
    assert found["valve.power"] == SafeOutput("valve.power", False)
    assert (node.board.line("GPIO17").level, node.board.line("GPIO27").level) == (True, True)


def test_several_plans(node_file: NodeFile, clock: SimClock) -> None:
    """Of several plans nothing is driven twice, an expander comes with who is on its lines, and
    what the first plan cannot make is driven as the second one has it."""
    second = make_plan(node_file(RELAYS + EXPANDER + SERVO.format(low=0.001)))
    node = killed(second, clock, {"pump.power": True, "valve.power": True})
    expander = EXPANDER.partition("[devices.valve]")[0]
    first = make_plan(node_file(RELAYS + expander + SERVO.format(low=0.002)))
    state = SafeState([first, second, second], lambda plan: node.board, clock)
    found = [(each.output, bool(each.problem)) for each in state.drive()]
    assert found == [
        ("pump.power", False),
        ("door.power", False),
        ("gate", True),
        ("valve.power", False),
        *[(f"dimmer.channel{n}", False) for n in range(16)],
        ("gate.angle", False),
    ]
