"""Assertions on readings, outputs and lines: what passes, and what a failure says."""

from __future__ import annotations

import re
from typing import Any

import pytest

from edgekernel import Quality, Runtime
from edgekernel.testing import Simulation, assert_level, assert_output, assert_reading
from tests.testing.conftest import Oven


@pytest.fixture
def oven(booted: Runtime) -> Oven:
    """The oven of the runtime."""
    oven = booted.devices["oven"]
    assert isinstance(oven, Oven)
    return oven


def after(simulation: Simulation, seconds: float, do: Any, *arguments: Any) -> None:
    """Do something after some seconds."""

    def run() -> None:
        simulation.clock.sleep(seconds)
        do(*arguments)

    simulation.clock.Thread(run, "after").start()


def exactly(text: str) -> str:
    """Return the pattern of a whole failure text."""
    return f"^{re.escape(text)}$"


def test_reading_within_tolerance_and_time(simulation: Simulation, oven: Oven) -> None:
    """A number may differ by `abs` or by a share; it is waited for as long as needed."""
    after(simulation, 3.0, oven.heat.update, 200.0)
    assert_reading(oven.heat, 200.5, abs=0.5, within=10)
    assert simulation.clock.monotonic() == 3.0
    assert_reading(oven.heat, 198, rel=0.011)
    assert_reading(oven.heat)
    with pytest.raises(AssertionError):
        assert_reading(oven.heat, 198, rel=0.01)


def test_reading_by_quality(simulation: Simulation, oven: Oven) -> None:
    """The quality counts too: GOOD unless another is asked for, with the last value or any."""
    assert_reading(oven.heat, quality=Quality.BAD)
    oven.heat.update(20.0)
    oven.heat.fail("the wire is cut")
    assert_reading(oven.heat, 20.0, quality=Quality.BAD)
    with pytest.raises(AssertionError, match="expected good\n"):
        assert_reading(oven.heat)


def test_reading_failure_explains_itself(simulation: Simulation, oven: Oven) -> None:
    """It says what was expected in which time, and value, quality, reason and age of what is."""
    oven.heat.update(20.0)
    with pytest.raises(
        AssertionError,
        match=exactly(
            "oven.heat: expected 200 ± 5, good within 10 s\n  at 10 s it is 20.0, good, for 10 s"
        ),
    ):
        assert_reading(oven.heat, 200, abs=5, within=10)
    oven.heat.fail("the wire is cut")
    with pytest.raises(
        AssertionError,
        match=exactly(
            "oven.heat: expected 20.0 ± 0.1 of it, good\n"
            "  at 10 s it is 20.0, bad (the wire is cut), for 0 s"
        ),
    ):
        assert_reading(oven.heat, 20.0, rel=0.1)


def test_output(simulation: Simulation, oven: Oven) -> None:
    """Setpoint and readback have to agree with what is expected; the failure shows both."""
    assert_output(oven.power, False)
    after(simulation, 2.0, oven.power.set, True)
    with pytest.raises(
        AssertionError,
        match=exactly(
            "oven.power: expected True within 1 s\n"
            "  at 1 s it is set to False and reports False, good, for 1 s"
        ),
    ):
        assert_output(oven.power, True, within=1)
    assert_output(oven.power, True, within=1)
    oven.power.readback.update(False)
    with pytest.raises(AssertionError, match="set to True and reports False"):
        assert_output(oven.power, True)


def test_level(simulation: Simulation) -> None:
    """A line is looked at from outside; the failure names it."""
    line = simulation.board.line("GPIO17")
    after(simulation, 2.0, line.drive, True)
    assert_level(line, True, within=3)
    assert simulation.clock.monotonic() == 2.0
    with pytest.raises(
        AssertionError, match=exactly("GPIO17: expected low within 1 s\n  at 3 s it is high")
    ):
        assert_level(line, False, within=1)


def test_waiting_needs_simulated_time() -> None:
    """Without a simulation an assertion can look at the present only, and says so."""
    oven = Oven("oven")
    with pytest.raises(AssertionError, match=r"expected good\n  it is None, bad \(no value yet\)$"):
        assert_reading(oven.heat)
    with pytest.raises(RuntimeError, match=r"within=\.\.\. needs simulated time: .* `sim`, `node`"):
        assert_reading(oven.heat, within=1)


def test_each_has_its_kind(booted: Runtime) -> None:
    """An output where a reading belongs, or the other way round, is told with what to write."""
    oven: Any = booted.devices["oven"]
    with pytest.raises(TypeError, match=r"given a reading, not .*oven\.power.*assert_output"):
        assert_reading(oven.power, True)
    with pytest.raises(TypeError, match=r"given an output, not .*oven\.heat.*assert_reading"):
        assert_output(oven.heat, 20.0)
    with pytest.raises(TypeError, match="given a reading, not True; "):
        assert_reading(True, True)  # type: ignore[arg-type]
