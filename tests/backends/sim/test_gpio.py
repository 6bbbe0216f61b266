"""Simulated lines: real gpiozero pins with an outside."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.backends.sim import SimBackend
from edgekernel.backends.sim.gpio import SimPins
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import BusyError, ClosedError, LifecycleError, UnknownTargetError
from edgekernel.hal import Edge, Pull
from edgekernel.hal.address import LineAddress
from edgekernel.sim.clock import SimClock

LAMP = LineAddress("GPIO17", "pinctrl-bcm2711", 17)
BUTTON = LineAddress("GPIO2", "pinctrl-bcm2711", 2)


@pytest.mark.parametrize("level", [False, True])
@pytest.mark.parametrize("before", [False, True])
def test_no_glitch(backend: SimBackend, level: bool, before: bool) -> None:
    """P8: an output shows the level it was opened with and no other, whatever was there before."""
    line = backend.line("GPIO17")
    line.drive(before)
    backend.digital_output(LAMP).open(level)
    assert (line.function, line.level, line.levels) == ("output", level, (level,))


def test_glitch_shows(clock: SimClock) -> None:
    """The history would show a glitch: direction before level leaves both levels in it."""
    pins = SimPins(clock)
    pins.add(LAMP)
    pin = pins.pin(LAMP)
    pin.function = "output"
    pin.state = True
    assert pins.line("GPIO17").levels == (False, True)


def test_close_keeps_level(backend: SimBackend) -> None:
    """A closed output keeps driving its level, and opening it again does not make it jump."""
    line = backend.line("GPIO17")
    first = backend.digital_output(LAMP)
    first.open(True)
    first.close()
    first.close()
    assert (line.function, line.level, line.levels) == ("output", True, (True,))
    backend.digital_output(LAMP).open(True)
    assert line.levels == (True,)


@pytest.mark.parametrize("before", [False, True])
def test_output_as_is(backend: SimBackend, before: bool) -> None:
    """Opened without a level, a line keeps the one it has, as an input and as an output."""
    line = backend.line("GPIO17")
    line.drive(before)
    output = backend.digital_output(LAMP)
    output.open(None)
    assert (line.function, line.levels, output.read()) == ("output", (before,), before)
    output.write(not before)
    output.close()
    output.open(None)
    assert (line.function, line.levels, output.read()) == ("output", (not before,), not before)


@given(levels=st.lists(st.booleans()))
def test_history(levels: list[bool]) -> None:
    """The history has every change since open, and a write of the same level is none."""
    backend = SimBackend(SystemClock())
    output = backend.digital_output(LAMP)
    output.open(False)
    expected = [False]
    for level in levels:
        output.write(level)
        assert output.read() is backend.line("GPIO17").level is level
        if level != expected[-1]:
            expected.append(level)
    assert backend.line("GPIO17").levels == tuple(expected)


@pytest.mark.parametrize(("pull", "level"), [(Pull.UP, True), (Pull.DOWN, False)])
def test_pull(backend: SimBackend, pull: Pull, level: bool) -> None:
    """A pull holds the line until the outside drives it, and again when it lets go."""
    line = backend.digital_input(BUTTON)
    line.open(pull)
    assert line.read() is level
    backend.line("GPIO2").drive(not level)
    assert line.read() is not level
    backend.line("GPIO2").release()
    assert line.read() is level


def test_outside_beats_pull(backend: SimBackend) -> None:
    """What the outside drove before the line was opened stays, against the pull."""
    backend.line("GPIO2").drive(False)
    line = backend.digital_input(BUTTON)
    line.open(Pull.UP)
    assert line.read() is False
    assert backend.line("GPIO2").levels == (False,)


def test_output_cannot_be_driven(backend: SimBackend) -> None:
    """Driving an output from outside is an error that names the line."""
    backend.digital_output(LAMP).open(True)
    with pytest.raises(LifecycleError, match="GPIO17 is an output"):
        backend.line("GPIO17").drive(False)
    assert backend.line("GPIO17").level is True


def test_edges(backend: SimBackend, clock: SimClock) -> None:
    """Each edge arrives with its level and simulated time; none without change or after close."""
    edges: list[Edge] = []
    line = backend.digital_input(BUTTON)
    line.open(Pull.UP, edges.append)
    assert edges == []
    clock.advance(0.25)
    backend.line("GPIO2").drive(False)
    backend.line("GPIO2").drive(False)
    clock.advance(0.1)
    backend.line("GPIO2").drive(True)
    assert edges == [Edge(False, 250_000_000), Edge(True, 350_000_000)]
    line.close()
    backend.line("GPIO2").drive(False)
    assert len(edges) == 2


def test_lost_edge(backend: SimBackend) -> None:
    """An edge that gets lost changes the level and tells nobody."""
    edges: list[Edge] = []
    line = backend.digital_input(BUTTON)
    line.open(Pull.UP, edges.append)
    backend.line("GPIO2").drive(False, lose_edge=True)
    assert line.read() is False
    assert edges == []


def test_edges_one_at_a_time(backend: SimBackend) -> None:
    """An edge made by the handler of an edge is handled after it, never within it."""
    seen: list[str] = []
    world = backend.line("GPIO2")

    def bounce(edge: Edge) -> None:
        seen.append(f"in {edge.level:d}")
        if not edge.level:
            world.drive(True)
        seen.append(f"out {edge.level:d}")

    backend.digital_input(BUTTON).open(Pull.UP, bounce)
    world.drive(False)
    assert seen == ["in 0", "out 0", "in 1", "out 1"]


def test_edge_handler_raises(backend: SimBackend, caplog: pytest.LogCaptureFixture) -> None:
    """An edge handler that raises is logged and does not reach who drives the line."""

    def fail(edge: Edge) -> None:
        raise ZeroDivisionError

    backend.digital_input(BUTTON).open(Pull.UP, fail)
    backend.line("GPIO2").drive(False)
    assert "GPIO2: what was called for its edge raised" in caplog.text


def test_one_user(backend: SimBackend) -> None:
    """A line that is open is busy for everybody else, and closed for who has not opened it."""
    output = backend.digital_output(LAMP)
    output.open(True)
    other = backend.digital_input(LAMP)
    with pytest.raises(BusyError, match="GPIO17 on pinctrl-bcm2711: already open"):
        other.open(Pull.NONE)
    with pytest.raises(BusyError):
        output.open(True)
    with pytest.raises(ClosedError):
        other.read()
    assert output.read() is True
    output.close()
    other.open(Pull.NONE)


def test_line_names(backend: SimBackend) -> None:
    """A line has the name of its address; an unknown name is an error with the nearest one."""
    with pytest.raises(UnknownTargetError, match="no line 'PA7'"):
        backend.line("PA7")
    backend.digital_output(LineAddress("PA7", "soc", 7)).open(True)
    assert backend.line("PA7").level is True
    assert backend.line("PA7").name == "PA7"
    with pytest.raises(UnknownTargetError, match="PA7"):
        backend.line("PA8")


def test_two_backends(backend: SimBackend, clock: SimClock) -> None:
    """Two backends in one process share no line, bus or port."""
    other = SimBackend(clock)
    backend.digital_output(LAMP).open(True)
    other.digital_output(LAMP).open(False)
    assert (backend.line("GPIO17").level, other.line("GPIO17").level) == (True, False)
    assert backend.bus("i2c1") is not other.bus("i2c1")
    assert backend.port("uart0") is not other.port("uart0")
    other.close()
    assert backend.line("GPIO17").level is True


def test_backend_close(backend: SimBackend) -> None:
    """Closing the backend closes its lines and leaves their levels."""
    output = backend.digital_output(LAMP)
    output.open(True)
    backend.close()
    with pytest.raises(ClosedError):
        output.write(False)
    assert backend.line("GPIO17").level is True


def test_edges_from_threads() -> None:
    """On real threads handlers still run one at a time, and no edge is lost."""
    clock = SystemClock()
    backend = SimBackend(clock)
    running: list[int] = []
    counted: list[int] = []

    def count(edge: Edge) -> None:
        running.append(1)
        counted.append(len(running))
        running.pop()

    threads = []
    for number in range(4):
        backend.digital_input(LineAddress(f"GPIO{number}", "soc", number)).open(Pull.DOWN, count)
        threads.append(clock.Thread(partial(_toggle, backend, number), f"toggle {number}"))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted == [1] * 4 * 200
    backend.close()


def _toggle(backend: SimBackend, number: int) -> None:
    for _ in range(100):
        backend.line(f"GPIO{number}").drive(True)
        backend.line(f"GPIO{number}").drive(False)
