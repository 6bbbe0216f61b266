"""The bench: hands, meters and weather around a simulated node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Runtime
from edgekernel.core.errors import (
    EdgekernelError,
    InvalidValueError,
    LifecycleError,
    UnknownTargetError,
)
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import Bench, SimClock, WorldService

NODE = """
[node]
name = "bench"
board = "sim"

[devices.fan]
driver = "relay"
pin = "GPIO17"
active_high = false

[devices.door]
driver = "button"
pin = "GPIO27"

[devices.gate]
driver = "button"
pin = "GPIO22"
pull = "down"
active_low = false

[devices.room]
driver = "bme280"
bus = "i2c1"
"""


class Node:
    """A running node with its bench."""

    def __init__(self, clock: SimClock, runtime: Runtime, bench: Bench) -> None:
        self.clock = clock
        self.runtime = runtime
        self.bench = bench

    def device(self, id: str) -> Any:
        """Return a device, to use its signals."""
        return self.runtime.devices[id]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Give a node that runs for a moment, in simulated time."""
    path = tmp_path / "node.toml"
    path.write_text(NODE)
    with SimClock() as clock:
        runtime, bench = assemble_simulated(make_plan(path), clock, Runtime)
        with runtime:
            clock.advance(0.1)  # the pollers have begun
            yield Node(clock, runtime, bench)


def test_meter(node: Node) -> None:
    """`is_on` and `level` show the pin itself: the one as the device means it, the other as
    electricity."""
    assert (node.bench.is_on("fan"), node.bench.level("GPIO17")) == (False, True)
    node.device("fan").power.set(True)
    assert (node.bench.is_on("fan"), node.bench.level("GPIO17")) == (True, False)


@pytest.mark.parametrize(
    ("button", "line", "pressed"), [("door", "GPIO27", False), ("gate", "GPIO22", True)]
)
def test_finger(node: Node, button: str, line: str, pressed: bool) -> None:
    """A hold brings the line to the active level of that button, a release back."""
    node.clock.advance(1)
    assert node.device(button).pressed.value is False
    node.bench.hold(button)
    assert node.bench.level(line) is pressed
    node.clock.advance(1)
    assert node.device(button).pressed.value is True
    node.bench.release(button)
    node.clock.advance(1)
    assert (node.device(button).pressed.value, node.bench.level(line)) == (False, not pressed)


def test_press_ends_by_itself(node: Node) -> None:
    """A press lasts as long as it says, and can be repeated."""
    for _ in range(2):
        node.bench.press("door", 0.5)
        node.clock.advance(0.4)
        assert node.device("door").pressed.value is True
        node.clock.advance(0.2)
        assert node.device("door").pressed.value is False


def test_press_gives_way(node: Node) -> None:
    """What a finger does later counts: the end of an earlier press does not release the line."""
    node.bench.press("door", 0.5)
    node.bench.hold("door")
    node.clock.advance(1)
    assert node.bench.is_on("door")
    node.bench.press("door", 0.5)
    node.clock.advance(0.3)
    node.bench.press("door", 0.5)
    node.clock.advance(0.3)
    assert node.bench.is_on("door")
    node.bench.release("door")
    node.clock.advance(1)
    assert not node.bench.is_on("door")


def test_press_ends_with_the_node(node: Node) -> None:
    """A press that would go on for long does not keep the node from stopping."""
    node.bench.press("door", 3000)
    before = node.clock.monotonic()
    node.runtime.shutdown()
    assert node.clock.monotonic() - before < 1


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), 3601])
def test_press_has_a_length(node: Node, seconds: float) -> None:
    """A press without a sensible length is refused and presses nothing."""
    with pytest.raises(InvalidValueError, match="seconds: "):
        node.bench.press("door", seconds)
    assert not node.bench.is_on("door")


def test_wire(node: Node) -> None:
    """`drive` puts a level on an input line, whatever hangs there."""
    node.bench.drive("GPIO27", False)
    node.clock.advance(1)
    assert node.device("door").pressed.value is True


def test_quantity(node: Node) -> None:
    """What is set on a chip is what its driver measures next, over the bus."""
    node.bench.set_quantity("room", "temperature_c", -5)
    node.clock.advance(2)
    assert node.device("room").temperature.value == pytest.approx(-5, abs=0.02)
    assert node.bench.chip("room").temperature_c == -5


def test_from_outside(node: Node) -> None:
    """Hands and meters are commands of the component `sim`, for every surface."""
    node.runtime.invoke("sim.hold", {"device": "door"})
    assert node.runtime.invoke("sim.level", {"line": "GPIO27"}) is False
    node.runtime.invoke(
        "sim.set_quantity", {"device": "room", "quantity": "pressure_hpa", "value": 990}
    )
    node.clock.advance(2)
    assert node.device("door").pressed.value is True
    assert node.device("room").pressure.value == pytest.approx(990, abs=0.1)


@pytest.mark.parametrize(
    ("command", "args", "kind", "said"),
    [
        ("press", ("dor",), UnknownTargetError, "no device 'dor'; did you mean 'door'?"),
        ("press", ("room",), UnknownTargetError, "room has 0 lines; name a line instead"),
        ("release", ("dor",), UnknownTargetError, "no device 'dor'"),
        ("press", ("fan",), LifecycleError, "GPIO17 is an output: the outside cannot drive it"),
        ("is_on", ("room",), UnknownTargetError, "room has 0 lines"),
        ("level", ("PIN17",), UnknownTargetError, "no line 'PIN17' on the simulated board"),
        ("drive", ("GPIO17", True), LifecycleError, "GPIO17 is an output"),
        ("chip", ("fan",), UnknownTargetError, "fan has no simulated chip"),
        (
            "set_quantity",
            ("room", "temperature", 5.0),
            UnknownTargetError,
            "the chip of room has no quantity 'temperature'; did you mean 'temperature_c'?",
        ),
        (
            "set_quantity",
            ("room", "_registers", 5.0),
            UnknownTargetError,
            "the chip of room has no quantity '_registers'",
        ),
    ],
)
def test_impossible(
    node: Node, command: str, args: tuple[Any, ...], kind: type[EdgekernelError], said: str
) -> None:
    """What cannot be done on the bench is told by name, with what is meant or there."""
    with pytest.raises(kind) as caught:
        getattr(node.bench, command)(*args)
    assert said in str(caught.value)


def test_quantity_is_a_number(node: Node) -> None:
    """A quantity that is no number cannot be set."""
    vars(node.bench.chip("room"))["place"] = "shelf"
    with pytest.raises(InvalidValueError, match="place of room is no number"):
        node.bench.set_quantity("room", "place", 1.0)


class Sand:
    """A world that counts."""

    step_s = 2.5

    def __init__(self) -> None:
        self.steps: list[float] = []

    def step(self, seconds: float) -> None:
        """Count."""
        self.steps.append(seconds)


def test_world_is_stepped() -> None:
    """A world is stepped at its own interval with the time that has passed, and together the
    steps are the time of the run."""
    sand = Sand()
    with SimClock() as clock:
        clock.advance(100)
        runtime = Runtime(clock=clock)
        runtime.register(WorldService(sand))
        with runtime:
            clock.advance(10.1)
    assert sand.steps == [0, 2.5, 2.5, 2.5, 2.5]
