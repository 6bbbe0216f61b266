"""Jumper wires between simulated lines."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.backends.sim import SimBackend
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import LifecycleError, UnknownTargetError
from edgekernel.hal import Edge, Pull
from edgekernel.hal.address import LineAddress, PwmAddress
from edgekernel.sim.clock import SimClock

FIRST, SECOND = LineAddress("GPIO22", "sim", 22), LineAddress("GPIO27", "sim", 27)


def test_output_drives_input(backend: SimBackend, clock: SimClock) -> None:
    """An input on the wire has the output's level, with an edge for each change, against a pull."""
    edges: list[Edge] = []
    backend.wire("GPIO22", "GPIO27")
    line, output = backend.digital_input(SECOND), backend.digital_output(FIRST)
    line.open(Pull.DOWN, edges.append)
    output.open(True)
    clock.advance(1)
    assert line.read() is True
    output.write(False)
    assert line.read() is False
    assert edges == [Edge(True, 0), Edge(False, 1_000_000_000)]


def test_pull_reaches_over_the_wire(backend: SimBackend) -> None:
    """The pull of one input holds the other, until the outside drives either of them."""
    backend.wire("GPIO22", "GPIO27")
    first, second = backend.digital_input(FIRST), backend.digital_input(SECOND)
    first.open(Pull.NONE)
    second.open(Pull.UP)
    assert first.read() is True
    backend.line("GPIO22").drive(False)
    assert second.read() is False
    backend.line("GPIO27").release()
    assert (first.read(), second.read()) == (True, True)


@given(
    wired=st.permutations(range(5)),
    driver=st.integers(0, 4),
    levels=st.lists(st.booleans(), min_size=1),
)
def test_all_on_one_wire(wired: list[int], driver: int, levels: list[bool]) -> None:
    """Five lines wired in any order have one level: that of the output among them."""
    backend = SimBackend(SystemClock())
    addresses = [LineAddress(f"GPIO{number}", "sim", number) for number in range(5)]
    output = backend.digital_output(addresses[driver])
    output.open(False)
    for first, second in pairwise(wired):
        backend.wire(f"GPIO{first}", f"GPIO{second}")
    for level in levels:
        output.write(level)
        assert {backend.line(address.name).level for address in addresses} == {level}


def test_short_circuit(backend: SimBackend) -> None:
    """Two outputs that drive against each other are an error that names both."""
    first, second = backend.digital_output(FIRST), backend.digital_output(SECOND)
    first.open(True)
    second.open(False)
    with pytest.raises(LifecycleError, match="GPIO22 and GPIO27 are wired together and drive"):
        backend.wire("GPIO22", "GPIO27")
    second.write(True)
    backend.wire("GPIO22", "GPIO27")
    backend.wire("GPIO27", "GPIO22")
    with pytest.raises(LifecycleError, match="short circuit"):
        first.write(False)


def test_outside_against_output(backend: SimBackend) -> None:
    """The outside cannot drive a line that is wired to an output."""
    backend.wire("GPIO22", "GPIO27")
    backend.digital_output(FIRST).open(True)
    with pytest.raises(LifecycleError, match="GPIO22 is an output"):
        backend.line("GPIO27").drive(False)


def test_unknown_line(backend: SimBackend) -> None:
    """A wire to a line that is not there is an error that names it."""
    with pytest.raises(UnknownTargetError, match="no line 'PA7'"):
        backend.wire("GPIO22", "PA7")


@given(duty=st.floats(0, 1))
def test_pulses_on_the_wire(duty: float) -> None:
    """Of many reads of a line with pulses, the share that they are high sees high."""
    backend = SimBackend(SystemClock())
    backend.wire("GPIO22", "GPIO27")
    line = backend.digital_input(SECOND)
    line.open(Pull.UP)
    pulses = backend.pwm_output(PwmAddress(FIRST), software=True)
    pulses.open(100, duty)
    assert abs(sum(line.read() for _ in range(200)) / 200 - duty) <= 0.01
    pulses.close()
    assert line.read() is False
