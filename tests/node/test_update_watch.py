"""The witness of a trial: what is not well with a node, of what has to be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edgekernel import (
    Context,
    Device,
    Interface,
    Process,
    Quality,
    Reading,
    Runtime,
    Service,
    UnavailableError,
    message,
    reading,
)
from edgekernel.node.update_state import UpdateState, write_state
from edgekernel.node.update_table import UpdateTable
from edgekernel.node.update_watch import STATE, UpdateWatch
from edgekernel.node.witness import Witness, hear_witness
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


class Broken(Process):
    """Cannot start."""

    def __init__(self, name: str) -> None:
        self.name = name

    def start(self, ctx: Context) -> None:
        """Raise an error."""
        raise UnavailableError("no answer")


class Offline(Interface):
    """A link that is down."""

    name = "mqtt"
    connected = False


class Restless(Service):
    """Fails once, and then works."""

    name = "restless"
    failed = False

    def tick(self, ctx: Context) -> None:
        """Raise an error, the first time."""
        if not self.failed:
            self.failed = True
            raise UnavailableError("not yet")


class Trial:
    """A node in a slot that is on trial."""

    def __init__(self, folder: Path, clock: SimClock, stack: ExitStack, **terms: Any) -> None:
        self.path = folder / "update/state.json"
        self.clock = clock
        self.tell("trial")
        self.witness = folder / "witness.json"
        self.runtime = Runtime(clock=clock)
        self.room, self.tank = Sensor("room"), Sensor("tank")
        self.watch = watch = UpdateWatch(
            self.runtime, self.path, UpdateTable(**terms), self.witness, "7"
        )
        for part in (self.room, self.tank, watch):
            self.runtime.register(part)
        stack.enter_context(self.runtime)

    def tell(self, phase: str, **changes: Any) -> None:
        """Let root say how the update goes."""
        write_state(UpdateState(slot="B").moved(phase, **changes), self.path, boot="this")

    def said(self) -> Witness:
        """Return what the agent says of itself, after a look."""
        self.clock.advance(2)
        return hear_witness(self.witness)

    @property
    def unmet(self) -> str:
        """The criteria that it does not meet."""
        return "; ".join(self.said().unmet)


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
    """A reading that is bad is named with its reason, until it is good; one without a value yet is
    not bad."""
    trial = Trial(tmp_path, clock, stack)
    assert trial.unmet == ""
    trial.room.worse("temperature")
    assert trial.unmet == "sensors: room.temperature (broken wire)"
    trial.room.temperature.update(20.0)
    assert trial.unmet == ""


def test_which_agent_and_when(tmp_path: Path, clock: SimClock, stack: ExitStack) -> None:
    """It says which start of the agent it is, and when: nothing when the trial is over."""
    trial = Trial(tmp_path, clock, stack)
    said = trial.said()
    assert (said.run, said.restarts) == ("7", 0)
    assert clock.monotonic() - said.at_s <= 1.0
    trial.tell("confirmed")
    clock.advance(2)
    trial.witness.unlink()
    clock.advance(2)
    assert not trial.witness.exists()


def test_bad_before(tmp_path: Path, clock: SimClock, stack: ExitStack) -> None:
    """What was not well before the update is not held against it, whatever is the matter with its
    device now; all else is."""
    trial = Trial(tmp_path, clock, stack)
    trial.tell("trial", bad_before=("reading room.temperature", "device tank", "part pump"))
    trial.room.worse("temperature", "humidity")
    trial.tank.worse("humidity")
    trial.runtime.hot_add(Broken("pump"), optional=True)
    assert trial.unmet == "sensors: room.humidity (broken wire)"
    trial.runtime.hot_add(Broken("valve"), optional=True)
    assert trial.unmet.endswith("; services: valve (UnavailableError: no answer)")


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
    said = trial.unmet.removeprefix("sensors: ").replace(" (broken wire)", "")
    assert [each for each in said.split(", ") if each] == named


@pytest.mark.parametrize(
    ("readings", "counts"),
    [
        ("all", True),
        ("none", False),
        (["room"], True),
        (["room.humidity"], True),
        (["tank"], False),
    ],
)
def test_a_device_that_has_to_be_online(readings: Any, counts: bool) -> None:
    """A device has to be online if one of its readings has to be good."""
    assert UpdateTable(readings=readings).requires("room") is counts


def test_many(tmp_path: Path, clock: SimClock, stack: ExitStack) -> None:
    """Of many bad readings the first few are named, and the others counted."""
    trial = Trial(tmp_path, clock, stack)
    for number in range(3):
        trial.runtime.hot_add(more := Sensor(f"more{number}"))
        more.worse("temperature", "humidity")
    trial.room.worse("temperature")
    assert trial.unmet.endswith("and 2 more")


def test_before_an_update(tmp_path: Path, clock: SimClock, stack: ExitStack) -> None:
    """An update is not to blame for what is not well when it is asked for, nor for a service that
    was started anew a short while ago; but it is for the link."""
    trial = Trial(tmp_path, clock, stack, healthy_for=60)
    trial.room.worse("temperature")
    trial.runtime.hot_add(Offline())
    trial.runtime.hot_add(Restless())
    clock.advance(10)
    assert trial.watch.bad_before() == ("reading room.temperature", "part restless")
    clock.advance(100)
    assert trial.watch.bad_before() == ("reading room.temperature",)


def test_shown(tmp_path: Path, clock: SimClock, stack: ExitStack) -> None:
    """How it goes is in the state of the runtime, without what is of no use there; a witness that
    cannot be written is reported, and it is tried again."""
    trial = Trial(tmp_path, clock, stack)
    clock.advance(2)
    shown = trial.runtime.state.get(STATE)
    assert (shown["phase"], shown["slot"]) == ("trial", "B")
    assert not {"boot", "bad_before"} & shown.keys()
    errors = messages_of(trial.runtime, message.BackgroundError)
    trial.witness.unlink()
    trial.witness.mkdir()
    clock.advance(2)
    assert "witness.json" in errors[-1].error
    trial.witness.rmdir()
    trial.room.worse("temperature")
    assert "room.temperature" in trial.unmet
