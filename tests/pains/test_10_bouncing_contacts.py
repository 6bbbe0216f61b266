"""Pain 10: a debounce that fires twice, loses the last edge, or is cut short by the wall clock.

flyte/mqtt-io#48, #85; gpiozero/gpiozero#550; RaspberryPiFoundation/picozero#122;
vitormhenrique/OctoPrint-Enclosure#159.
"""

from __future__ import annotations

import pytest
from edgekernel_devices.button import ButtonPressed, ButtonReleased

from edgekernel import Effect
from edgekernel.sim import SimClock
from tests.pains.conftest import MakeNode, Node

NODE = """
[devices.door]
driver = "contact"
pin = "GPIO27"

[devices.bell]
driver = "button"
pin = "GPIO22"
"""
BOUNCE_S = (0.001, 0.004, 0.002, 0.007, 0.003, 0.008, 0.005)
"""The gaps between the edges of one movement: 30 ms of it, an odd number of edges with the last."""


def bounce(node: Node, clock: SimClock, line: str, level: bool, *, lose_last: bool = False) -> None:
    """Move a contact to a level, as it does: to and fro for 30 ms."""
    outside = node.backend.line(line)
    for index, gap_s in enumerate(BOUNCE_S):
        outside.drive(level if index % 2 == 0 else not level)
        clock.advance(gap_s)
    outside.drive(not level)
    outside.drive(level, lose_edge=lose_last)


def changes(node: Node) -> tuple[list[object], Effect]:
    """Record what the door says from now on."""
    seen: list[object] = []
    door = node.reading("door.open")
    return seen, Effect(lambda: seen.append(door.value))


@pytest.mark.parametrize("lose_last", [False, True], ids=["all-edges", "last-edge-lost"])
def test_one_change_in_the_true_level(
    make_node: MakeNode, clock: SimClock, lose_last: bool
) -> None:
    """The door is reported open, closed, open again, or stays wrong for ever: a contact that
    bounces for 30 ms gives one change and ends in the true level, also if the last edge is lost."""
    node = make_node(NODE)
    node.backend.line("GPIO27").drive(False)
    with node.runtime:
        clock.advance(1)
        seen, effect = changes(node)
        for opened in (True, False, True):
            bounce(node, clock, "GPIO27", opened, lose_last=lose_last)
            clock.advance(10)
            assert node.reading("door.open").value is opened
        assert seen == [False, True, False, True]
        effect.dispose()


@pytest.mark.parametrize("lose_last", [False, True], ids=["all-edges", "last-edge-lost"])
def test_one_press(make_node: MakeNode, clock: SimClock, lose_last: bool) -> None:
    """One press rings twice: each press and each release is told once, one after the other."""
    node = make_node(NODE)
    with node.runtime:
        clock.advance(1)
        for pressed in (True, False) * 3:
            bounce(node, clock, "GPIO22", not pressed, lose_last=lose_last)
            clock.advance(10)
        kinds = [type(each) for each in node.told(ButtonPressed, ButtonReleased)]
    assert kinds == [ButtonPressed, ButtonReleased] * 3


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_wall_clock_steps(make_node: MakeNode, clock: SimClock, step_s: float) -> None:
    """Time is set while a contact bounces, and edges pass or are swallowed: debouncing goes by the
    monotonic time, so that there is one change, when it has settled."""
    node = make_node(NODE)
    node.backend.line("GPIO27").drive(False)
    with node.runtime:
        clock.advance(1)
        seen, effect = changes(node)
        node.backend.line("GPIO27").drive(True)
        clock.advance(0.01)
        clock.step_wall(step_s)
        node.backend.line("GPIO27").drive(False)
        clock.advance(0.01)
        node.backend.line("GPIO27").drive(True)
        clock.advance(0.049)
        assert seen == [False]
        clock.advance(0.002)
        assert seen == [False, True]
        effect.dispose()
