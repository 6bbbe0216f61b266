"""Faults of lines: contacts that stick, bounce and get lost, and outputs that are welded."""

from __future__ import annotations

import pytest

from edgekernel.sim.faults import Bounce, Fault, FaultKind, LostEdges, StuckLine, Welded
from tests.sim.faults.conftest import NODE, Play


@pytest.mark.parametrize("sort", ["line", "device"])
def test_stuck(play: Play, sort: str) -> None:
    """A stuck line stays where it is whoever presses; then what is pressed counts."""
    where = {sort: "GPIO27" if sort == "line" else "door"}
    node = play(Fault(StuckLine("high"), at_s=5, for_s=10, **where))  # type: ignore[arg-type]
    node.clock.advance(6)
    node.bench.hold("door")
    node.clock.advance(5)
    assert node.device("door").pressed.value is False
    node.clock.advance(5)
    assert node.device("door").pressed.value is True
    node.bench.release("door")
    node.clock.advance(1)
    assert node.device("door").pressed.value is False


def test_stuck_line_of_an_expander(play: Play) -> None:
    """A line of an expander can be stuck too, and nobody who was driving it is forgotten."""
    node = play(Fault(StuckLine("low"), line="io:GPA0", at_s=5, for_s=10))
    node.clock.advance(1)
    assert node.device("gate").open.value is True
    node.clock.advance(10)
    assert node.device("gate").open.value is False
    node.clock.advance(10)
    assert node.device("gate").open.value is True


def test_bounce(play: Play) -> None:
    """A contact that bounces is one press to a debounced button, and several to one that is not;
    it ends at the level that it has."""
    node = play(Fault(Bounce(takes=0.01), device="door", at_s=1, for_s=60))
    node.clock.advance(2)
    line = node.bench.line("GPIO27")
    levels: list[bool] = []
    line.watch(levels.append)
    node.bench.press("door", 1.0)
    node.clock.advance(5)
    assert len(levels) == 2 * 11
    assert levels[-1] is True
    assert len(node.told("button.pressed")) == len(node.told("button.released")) == 1
    node.clock.advance(60)
    levels.clear()
    node.bench.press("door", 1.0)
    node.clock.advance(5)
    assert levels == [False, True]


def test_bounce_without_debouncing(play: Play) -> None:
    """A button without a debounce time sees each touch."""
    node = play(
        Fault(Bounce(takes=0.01), device="door", at_s=1),
        node=NODE.replace('pin = "GPIO27"', 'pin = "GPIO27"\ndebounce = 0'),
    )
    node.clock.advance(2)
    node.bench.hold("door")
    node.clock.advance(5)
    assert len(node.told("button.pressed")) == 6


def test_lost_edges(play: Play) -> None:
    """Edges that get lost are found by the next poll; afterwards they are seen at once."""
    node = play(Fault(LostEdges(), line="GPIO27", at_s=1, for_s=15))
    node.clock.advance(2)
    node.bench.hold("door")
    node.clock.advance(1)
    assert node.device("door").pressed.value is False
    node.clock.advance(10)
    assert node.device("door").pressed.value is True
    node.clock.advance(10)
    node.bench.release("door")
    node.clock.advance(0.1)
    assert node.device("door").pressed.value is False


@pytest.mark.parametrize("state", ["on", "off"])
def test_welded(play: Play, state: str) -> None:
    """A welded contact goes on, or never does, and only the room's temperature tells: the output
    reads back what its line is."""
    node = play(Fault(Welded(state), device="heater", at_s=10, for_s=100))  # type: ignore[arg-type]
    house = node.bench.worlds["house"]
    node.device("heater").power.set(state == "off")
    node.clock.advance(10)
    before = house.temperature_c
    node.clock.advance(95)
    assert (house.temperature_c > before + 1) is (state == "on")
    assert node.device("heater").power.value is (state == "off")
    node.clock.advance(10)
    before = house.temperature_c
    node.clock.advance(60)
    assert (house.temperature_c > before) is (state == "off")


@pytest.mark.parametrize(
    ("kind", "where", "text"),
    [
        (StuckLine("low"), {"line": "GPIO17"}, "GPIO17 is an output: the node drives it; try"),
        (StuckLine("low"), {"device": "room"}, "room has no single input line; name the line"),
        (StuckLine("low"), {"line": "GPIO4"}, "no line 'GPIO4' in this node; did you mean"),
        (LostEdges(), {"line": "io:GPA0"}, "io:GPA0 is no line of the board"),
        (Welded(), {"device": "door"}, "no world looks at door, so nothing would come of it"),
    ],
)
def test_misfit(play: Play, kind: FaultKind, where: dict[str, str], text: str) -> None:
    """A fault that does not go with a line or device is refused with the reason."""
    with pytest.raises(ValueError, match="fault") as refused:
        play(Fault(kind, **where))  # type: ignore[arg-type]
    assert text in str(refused.value)
