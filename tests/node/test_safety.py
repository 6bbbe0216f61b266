"""Safety: what an operator holds stays safe, whatever drives it, until they let it go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from edgekernel import Effect, Runtime, Signal, message
from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import HeldByOperatorError, InvalidValueError
from edgekernel.core.output import Output
from edgekernel.node import assemble, make_plan
from edgekernel.node.safety import Safety, SafetyHeld, SafetyResumed
from edgekernel.sim import SimClock
from tests.core.driving import Plant
from tests.core.parts import messages_of

NODE = """
data = "kept"
hold = true

[devices.heater]
driver = "relay"
pin = "GPIO17"

[devices.heater.outputs.power]
initial = "restore"
"""


class Pumping(Plant):
    """A plant whose pump fails when told to."""

    fails = False

    def _do(self, name: str, value: Any) -> Any:
        if self.fails and name == "pump":
            raise OSError("stuck")
        return super()._do(name, value)


class House:
    """A runtime in simulated time whose plant can be held."""

    def __init__(self, clock: SimClock) -> None:
        self.runtime = Runtime(clock=clock)
        self.plant = Pumping("plant")
        self.safety = Safety(self.runtime, {"plant": self.plant})
        for part in (self.plant, self.safety):
            self.runtime.register(part)
        self.errors = messages_of(self.runtime, message.EffectError)

    def hold(self, reason: str = "maintenance") -> Any:
        """Let an operator hold it."""
        return self.runtime.invoke("safety.hold", {"reason": reason})


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """Give a simulated clock."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def house(clock: SimClock) -> Iterator[House]:
    """Give a house that runs."""
    made = House(clock)
    with made.runtime:
        yield made


def test_what_is_held_is_safe_and_stays_so(house: House) -> None:
    """Every output goes to its safe value, a set is refused with the reason, and the safe value is
    always allowed."""
    house.plant.pump.set(True)
    told = messages_of(house.runtime, SafetyHeld)
    assert house.hold() == {"held": "maintenance", "not_safe": []}
    assert house.plant.pump.get() is False
    expected = r"^plant\.pump: not set to True: an operator holds it safe: maintenance$"
    with pytest.raises(HeldByOperatorError, match=expected):
        house.plant.pump.set(True)
    house.plant.pump.set(False)
    assert told == [SafetyHeld("maintenance")]


def test_what_drives_goes_on_by_itself(house: House) -> None:
    """An effect waits, without an error, and drives again afterwards; what was set by hand does
    not."""
    wanted = Signal(True)
    house.plant.valve.set(0.5)
    drive = house.runtime.turns.within(
        lambda: Effect(lambda: house.plant.pump.set(wanted.get()), name="drive")
    )
    house.hold()
    wanted.set(False)
    wanted.set(True)
    assert house.plant.pump.get() is False
    told = messages_of(house.runtime, SafetyResumed)
    house.runtime.invoke("safety.resume")
    assert house.plant.pump.get() is True
    assert house.plant.valve.get() == 0
    house.runtime.invoke("safety.resume")  # twice is harmless
    assert told == [SafetyResumed()]
    assert house.errors == []
    drive.dispose()


def test_a_driver_that_fails_is_named(house: House) -> None:
    """What is not known to be safe is told, in the result and in the message."""
    house.plant.pump.set(True)
    house.plant.fails = True
    told = messages_of(house.runtime, SafetyHeld)
    assert house.hold()["not_safe"] == ["plant.pump"]
    assert told == [SafetyHeld("maintenance", ("plant.pump",))]


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 201])
def test_a_reason_is_needed(house: House, reason: str) -> None:
    """Whoever comes later wants to know why; it is short."""
    with pytest.raises(InvalidValueError, match="1 to 200 characters"):
        house.hold(reason)
    assert house.safety.held == ""


def power(runtime: Runtime) -> Output[Any]:
    """Return the output of the heater."""
    return cast("Output[Any]", runtime.devices["heater"].outputs["power"])


def test_it_outlives_a_restart(node_file: Callable[..., Path], clock: SimClock) -> None:
    """A node with a folder begins held, safe also where it restores, and says so; resumed, it is
    free in the next start."""
    file = node_file(NODE, board="raspberrypi/4b")

    def run() -> Runtime:
        return assemble(make_plan(file), SimBackend(clock), clock, Runtime, remember=True)

    with run() as first:
        power(first).set(True)
        first.invoke("safety.hold", {"reason": "maintenance"})
    second = run()
    told = messages_of(second, SafetyHeld)
    with second:
        assert told == [SafetyHeld("maintenance")]
        with pytest.raises(HeldByOperatorError):
            power(second).set(True)
        second.invoke("safety.resume")
        power(second).set(True)
    with run() as third:
        power(third).set(True)


def test_it_outlives_a_crash(node_file: Callable[..., Path], clock: SimClock) -> None:
    """It is kept at once, also just after something else was: an agent that is killed in the same
    second is held in its next start."""
    file = node_file(NODE, board="raspberrypi/4b")

    def run() -> Runtime:
        return assemble(make_plan(file), SimBackend(clock), clock, Runtime, remember=True)

    first = run()
    first.boot()
    power(first).set(True)
    clock.advance(0.5)
    first.invoke("safety.hold", {"reason": "maintenance"})
    clock.advance(0.5)  # nobody stops it
    second = run()
    told = messages_of(second, SafetyHeld)
    with second:
        assert told == [SafetyHeld("maintenance")]


def test_a_node_has_it_only_if_it_says_so(node_file: Callable[..., Path], clock: SimClock) -> None:
    """Without `hold` there are no such commands."""
    file = node_file(NODE.replace("hold = true", ""), board="raspberrypi/4b")
    runtime = assemble(make_plan(file), SimBackend(clock), clock, Runtime)
    assert "safety" not in runtime.status()["components"]
