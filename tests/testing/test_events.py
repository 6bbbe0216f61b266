"""Events: what was emitted, found by kind and fields, now or within a simulated time."""

from __future__ import annotations

import re
from unittest.mock import ANY

import pytest

from edgekernel import Event, Message, Process, Runtime, on
from edgekernel.core.errors import UnknownTargetError
from edgekernel.testing import Simulation, events
from tests.testing.conftest import Overheated


class Burnt(Overheated):
    """Too late."""


class Cooled(Message):
    """It is well again."""

    device: str


def later(runtime: Runtime, seconds: float, message: Message) -> None:
    """Emit a message after some seconds."""

    def run() -> None:
        runtime.clock.sleep(seconds)
        runtime.emit(message, source="later")

    runtime.clock.Thread(run, "later").start()


def failure(text: str) -> str:
    """Return the pattern of a whole failure text."""
    return f"^{re.escape(text)}$"


def test_of_finds_by_class_name_and_fields(simulation: Simulation, booted: Runtime) -> None:
    """A class stands for its subclasses, a name for itself; fields are compared with ==."""
    hall, oven = Overheated("hall", 40.0), Burnt("oven", 400.0)
    booted.emit(hall)
    booted.emit(oven)
    seen = simulation.events
    assert seen.of(Overheated) == [hall, oven]
    assert seen.of(Burnt) == [oven]
    assert seen.of("overheated") == [hall]
    assert seen.of(Overheated, device="hall") == [hall]
    assert seen.of(Overheated, device=ANY, celsius=pytest.approx(400.1, abs=0.5)) == [oven]
    assert seen.of(Message, device="oven") == [oven]
    assert [event.seq for event in seen] == sorted(event.seq for event in seen)
    assert len(seen) == 2
    assert seen[0].payload is hall


def test_what_does_not_exist_is_not_silently_absent(
    simulation: Simulation, booted: Runtime
) -> None:
    """A misspelt name or field is an error with the nearest one: it would never be emitted."""
    seen = simulation.events
    with pytest.raises(UnknownTargetError, match="no message 'overheatd'; did you mean"):
        seen.assert_none("overheatd")
    with pytest.raises(TypeError, match="Overheated has no field 'devise'; did you mean 'device'"):
        seen.assert_none(Overheated, devise="oven")
    with pytest.raises(TypeError, match="a message class or its name is asked for"):
        seen.of(str)  # type: ignore[type-var]


def test_assert_emitted_waits_no_longer_than_needed(
    simulation: Simulation, booted: Runtime
) -> None:
    """It returns the event as soon as there is one; one from before is there at once."""
    later(booted, 2.0, Overheated("oven", 300.0))
    event = simulation.events.assert_emitted(Overheated, device="oven", within=5)
    assert event.monotonic == simulation.clock.monotonic() == 2.0
    assert simulation.events.assert_emitted("overheated", within=5) is event
    assert simulation.clock.monotonic() == 2.0


def test_assert_emitted_says_what_came_instead(simulation: Simulation, booted: Runtime) -> None:
    """The failure names what was expected, how long was waited, and what of the kind came when."""
    later(booted, 1.5, Overheated("hall", 40.0))
    with pytest.raises(
        AssertionError,
        match=failure(
            "Overheated(device='oven') was not emitted within 2 s (now 2 s)\n"
            "  others were:\n"
            "           1.5 s  Overheated(device='hall', celsius=40.0) from later"
        ),
    ):
        simulation.events.assert_emitted(Overheated, device="oven", within=2)
    with pytest.raises(AssertionError, match=failure("Cooled was not emitted (now 2 s)")):
        simulation.events.assert_emitted(Cooled)


def test_assert_none_looks_back_and_forward(simulation: Simulation, booted: Runtime) -> None:
    """It lets all of its time pass, fails for what comes in it and for what had come before."""
    later(booted, 3.0, Overheated("oven", 300.0))
    simulation.events.assert_none(Overheated, within=2.5)
    assert simulation.clock.monotonic() == 2.5
    text = (
        "Overheated should not have been emitted within 1 s (now 3 s)\n"
        "  it was:\n"
        "             3 s  Overheated(device='oven', celsius=300.0) from later"
    )
    with pytest.raises(AssertionError, match=failure(text)):
        simulation.events.assert_none(Overheated, within=1)
    with pytest.raises(AssertionError, match=failure(text.replace(" within 1 s", ""))):
        simulation.events.assert_none(Overheated)
    simulation.events.clear()
    simulation.events.assert_none()


def test_assert_order(simulation: Simulation, booted: Runtime) -> None:
    """The first of each kind counts, all within one time; the failure shows them as they came."""
    later(booted, 1.0, Overheated("oven", 300.0))
    later(booted, 2.0, Cooled("oven"))
    with pytest.raises(AssertionError, match=r"^Cooled was not emitted within 0\.5 s"):
        simulation.events.assert_order(Overheated, Cooled, within=1.5)
    simulation.events.assert_order(Overheated, Cooled, within=1)
    with pytest.raises(
        AssertionError,
        match=failure(
            "not in the order Cooled, then Overheated (now 2 s)\n"
            "  they were:\n"
            "             1 s  Overheated(device='oven', celsius=300.0) from later\n"
            "             2 s  Cooled(device='oven') from later"
        ),
    ):
        simulation.events.assert_order(Cooled, Overheated)


def test_more_than_is_kept_is_an_error(
    simulation: Simulation, booted: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not kept is never taken for what was not emitted; after a clear all is well."""
    monkeypatch.setattr(events, "_KEPT", 2)
    for _ in range(3):
        booted.emit(Cooled("oven"))
    with pytest.raises(RuntimeError, match=r"more than 2 events .* call events\.clear\(\)"):
        simulation.events.assert_none(Overheated)
    simulation.events.clear()
    simulation.events.assert_none(Overheated)


def test_of_several_runtimes(simulation: Simulation, booted: Runtime) -> None:
    """The simulation's events are those of all its runtimes."""
    second = Runtime(name="hall", clock=simulation.clock)
    simulation.boot(second)
    simulation.events.clear()
    booted.emit(Cooled("oven"))
    second.emit(Cooled("stove"))
    assert [each.device for each in simulation.events.of(Cooled)] == ["oven", "stove"]


def test_of_a_traceback_the_place_is_told(simulation: Simulation, booted: Runtime) -> None:
    """In a line of the report an error has its text and the place in the code of the test, and not
    its whole traceback."""

    class Faulty(Process):
        name = "faulty"

        @on(Overheated)
        def pass_on(self, event: Event) -> None:
            booted.subscribe(Overheated, "nobody")  # type: ignore[arg-type]

    booted.register(Faulty())
    booted.emit(Overheated("oven", 300))
    line = simulation.events.lines()[-1]
    assert "ProcessError(" in line
    assert f" at {__file__}:" in line
    assert " in pass_on from " in line
    assert "Traceback" not in line
    assert "\n" not in line
