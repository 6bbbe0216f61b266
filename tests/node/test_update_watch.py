"""The witness of a trial: which readings are bad, of those that have to be good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Device, Quality, Reading, Runtime, message, reading
from edgekernel.node.update_state import UpdateState, write_state
from edgekernel.node.update_table import UpdateTable
from edgekernel.node.update_watch import STATE, UpdateWatch
from edgekernel.sim import SimClock
from tests.core.parts import messages_of


class Sensor(Device):
    """Measures what it is told."""

    temperature = reading(float)
    humidity = reading(float)

    def worse(self, *names: str) -> None:
        """Let readings be bad."""
        for name in names:
            bad: Reading[Any] = self.readings[name]
            bad.update(1.0, quality=Quality.BAD, reason="broken wire")


class Trial:
    """A node in a slot that is on trial."""

    def __init__(self, folder: Path, clock: SimClock, stack: ExitStack, **terms: Any) -> None:
        self.path = folder / "update/state.json"
        self.clock = clock
        self.tell("trial")
        self.remarks: list[str] = []
        self.deaf = False
        self.runtime = Runtime(clock=clock)
        self.room, self.tank = Sensor("room"), Sensor("tank")
        watch = UpdateWatch(self.runtime, self.path, UpdateTable(**terms), self.hear)
        for part in (self.room, self.tank, watch):
            self.runtime.register(part)
        stack.enter_context(self.runtime)

    def hear(self, text: str) -> None:
        """Be told what is to stand beside how the node is."""
        if self.deaf:
            raise OSError("nobody is there")
        self.remarks.append(text)

    def tell(self, phase: str, **changes: Any) -> None:
        """Let root say how the update goes."""
        write_state(UpdateState(slot="B").moved(phase, **changes), self.path, boot="this")

    @property
    def remark(self) -> str:
        """What is told beside how the node is, after a look."""
        self.clock.advance(2)
        return self.remarks[-1]


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """Give a simulated clock."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Give a stack that ends what a test has begun."""
    with ExitStack() as stack:
        yield stack


def test_bad_readings(tmp_path: Path, clock: SimClock, stack: ExitStack) -> None:
    """A reading that is bad is named with its reason, until it is good or the trial is over; one
    without a value yet is not bad."""
    trial = Trial(tmp_path, clock, stack)
    assert trial.remark == ""
    trial.room.worse("temperature")
    assert trial.remark == "bad readings: room.temperature (broken wire)"
    trial.room.temperature.update(20.0)
    assert trial.remark == ""
    trial.tank.worse("humidity")
    assert "tank.humidity" in trial.remark
    trial.tell("confirmed")
    assert trial.remark == ""


def test_bad_before(tmp_path: Path, clock: SimClock, stack: ExitStack) -> None:
    """What was bad before the update is not held against it."""
    trial = Trial(tmp_path, clock, stack)
    trial.tell("trial", bad_before=("room.temperature",))
    trial.room.worse("temperature", "humidity")
    assert trial.remark == "bad readings: room.humidity (broken wire)"


@pytest.mark.parametrize(
    ("readings", "named"),
    [
        ("none", []),
        (["tank"], ["tank.temperature", "tank.humidity"]),
        (["room.humidity", "tank.temperature"], ["room.humidity", "tank.temperature"]),
    ],
)
def test_how_much_is_required(
    tmp_path: Path, clock: SimClock, stack: ExitStack, readings: Any, named: list[str]
) -> None:
    """The node file says which readings have to be good."""
    trial = Trial(tmp_path, clock, stack, readings=readings)
    trial.room.worse("temperature", "humidity")
    trial.tank.worse("temperature", "humidity")
    said = trial.remark.removeprefix("bad readings: ").replace(" (broken wire)", "")
    assert [each for each in said.split(", ") if each] == named


def test_many(tmp_path: Path, clock: SimClock, stack: ExitStack) -> None:
    """Of many bad readings the first few are named, and the others counted."""
    trial = Trial(tmp_path, clock, stack)
    for number in range(3):
        trial.runtime.hot_add(more := Sensor(f"more{number}"))
        more.worse("temperature", "humidity")
    trial.room.worse("temperature")
    assert trial.remark.endswith("and 2 more")


def test_shown(tmp_path: Path, clock: SimClock, stack: ExitStack) -> None:
    """How it goes is in the state of the runtime, without what is of no use there; a remark that
    nobody takes is reported, and it is looked again."""
    trial = Trial(tmp_path, clock, stack)
    clock.advance(2)
    shown = trial.runtime.state.get(STATE)
    assert (shown["phase"], shown["slot"]) == ("trial", "B")
    assert not {"boot", "bad_before"} & shown.keys()
    errors = messages_of(trial.runtime, message.BackgroundError)
    trial.deaf = True
    clock.advance(2)
    assert "nobody is there" in errors[-1].error
    trial.deaf = False
    trial.room.worse("temperature")
    assert "room.temperature" in trial.remark
