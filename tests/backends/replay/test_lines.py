"""Lines of a record: levels and edges as they were, and outputs that obey as they obeyed."""

from __future__ import annotations

import pytest

from edgekernel.backends.recording import LineEdge
from edgekernel.backends.replay import ReplayBackend
from edgekernel.core.errors import BusyError
from edgekernel.hal.address import LineAddress, PwmAddress
from edgekernel.hal.gpio import Edge, Pull
from edgekernel.sim import SimClock
from tests.backends.replay.calls import SECOND, call, tape

LINE = LineAddress("GPIO17", "chip", 17)
OUTPUT, INPUT, PWM = (("output", "GPIO17"), ("input", "GPIO17"), ("pwm", "GPIO17"))


def test_an_output_obeys(clock: SimClock) -> None:
    """Where the pin had the level that was driven, it has the one that is driven now."""
    made = tape(
        clock,
        call(OUTPUT, 0, "open", False),
        call(OUTPUT, 0, "write", True),
        call(OUTPUT, 0, "read", gives=True),
    )
    output = ReplayBackend(made).digital_output(LINE)
    output.open(False)
    assert output.read() is False
    output.write(True)
    assert output.read() is True


def test_an_output_that_is_stuck(clock: SimClock) -> None:
    """Where the pin did not obey, it has the level that it had."""
    made = tape(
        clock, call(OUTPUT, 0, "open", True), call(OUTPUT, 0, "read", gives=False)
    )  # fmt: skip
    output = ReplayBackend(made).digital_output(LINE)
    output.open(True)
    assert output.read() is False


def test_an_output_that_is_taken(clock: SimClock) -> None:
    """An error at `open` comes again, and so does one of a write."""
    made = tape(
        clock,
        call(OUTPUT, 0, "open", False, gives=BusyError("GPIO17: taken")),
        call(OUTPUT, 0, "open", False),
        call(OUTPUT, 0, "write", True, gives=BusyError("GPIO17: gone")),
    )
    output = ReplayBackend(made).digital_output(LINE)
    with pytest.raises(BusyError, match="taken"):
        output.open(False)
    output.open(None)
    assert output.read() is False
    with pytest.raises(BusyError, match="gone"):
        output.write(True)
    output.close()


def test_an_input(clock: SimClock) -> None:
    """An input reads as it read, and between reads has the level of the latest edge."""
    edge = LineEdge(SECOND, SECOND, "GPIO17", Edge(False, SECOND))
    made = tape(clock, call(INPUT, 0, "open", "up", True), call(INPUT, 0, "read", gives=True))
    backend = ReplayBackend(made, [edge])
    line = backend.digital_input(LINE)
    told: list[Edge] = []
    line.open(Pull.UP, told.append)
    assert line.read() is True
    clock.advance(1)
    backend.tell("GPIO17", edge.edge)
    assert line.read() is False
    assert told == [edge.edge]
    line.close()
    backend.tell("GPIO17", Edge(True, 2 * SECOND))
    backend.tell("GPIO99", Edge(True, 2 * SECOND))
    assert len(told) == 1


@pytest.mark.parametrize(("pull", "level"), [(Pull.UP, True), (Pull.DOWN, False)])
def test_an_input_that_nobody_read(clock: SimClock, pull: Pull, level: bool) -> None:
    """Without a record of it an input has the level of its pull; before an edge the other one."""
    line = ReplayBackend(tape(clock)).digital_input(LINE)
    line.open(pull)
    assert line.read() is level
    edge = LineEdge(SECOND, SECOND, "GPIO17", Edge(level, SECOND))
    line = ReplayBackend(tape(clock), [edge]).digital_input(LINE)
    line.open(pull)
    assert line.read() is not level


def test_pulses(clock: SimClock) -> None:
    """Pulses go nowhere, and whether a timer makes them is as on the board."""
    pwm = ReplayBackend(tape(clock, call(PWM, 0, "open", 50.0, 0.0))).pwm_output(
        PwmAddress(LINE, "/sys/pwm", 0)
    )
    pwm.open(50.0, 0.0)
    pwm.write(0.5)
    pwm.close()
    assert (pwm.name, pwm.hardware) == ("GPIO17", True)
