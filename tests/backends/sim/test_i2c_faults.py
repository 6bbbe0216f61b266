"""Faults of a simulated I²C bus, as the outside puts them there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.backends.sim import SimBackend, SimI2CBus
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import BrokenError, InvalidValueError, NackError, StuckError
from edgekernel.hal import Pull
from edgekernel.hal.address import LineAddress
from edgekernel.sim.clock import SimClock


class Zeros:
    """Answers zeros."""

    def write(self, data: bytes) -> None:
        assert data

    def read(self, length: int) -> bytes:
        return bytes(length)


@pytest.fixture
def bus(backend: SimBackend) -> SimI2CBus:
    """An open bus with chips at 0x40 and 0x41."""
    made = backend.bus("i2c1")
    made.plug(0x40, Zeros())
    made.plug(0x41, Zeros())
    made.open()
    return made


def outcomes(bus: SimI2CBus, times: int) -> str:
    """Read so often from 0x40; return a letter for each: data, nack, stuck."""
    seen = ""
    for _ in range(times):
        try:
            bus.read(0x40, 1)
            seen += "d"
        except NackError:
            seen += "n"
        except StuckError:
            seen += "s"
    return seen


def test_refuse(bus: SimI2CBus) -> None:
    """The transactions that were named, and no others, are without acknowledge."""
    bus.refuse(0x40)
    bus.refuse(0x40, nth=4, times=2)
    bus.refuse(0x41, times=None)
    assert outcomes(bus, 8) == "nddnnddd"
    bus.refuse(0x40, times=None)
    assert outcomes(bus, 3) == "nnn"
    bus.heal()
    assert outcomes(bus, 2) == "dd"


def test_each_is_ended_for_itself(bus: SimI2CBus) -> None:
    """What a fault returned ends that one and no other, also when all were healed before."""
    nacks, hang, bits = bus.refuse(0x40, times=None), bus.hang(0x40), bus.corrupt(0x41, times=None)
    bus.refuse(0x40, times=None)
    assert outcomes(bus, 1) == "s"
    hang()
    nacks()
    assert outcomes(bus, 1) == "n"
    assert bus.read(0x41, 1) == b"\x01"
    bits()
    assert bus.read(0x41, 1) == b"\x00"
    bus.heal()
    nacks()
    assert outcomes(bus, 1) == "d"


def test_slow_ends(bus: SimI2CBus) -> None:
    """A chip that is not slow any more is as slow as its bus."""
    bus.slow(0.5)
    bus.slow(2.0, 0x40)
    bus.slow(0, 0x40)
    before_s = bus.health.busy_s
    bus.read(0x40, 1)
    assert bus.health.busy_s - before_s == pytest.approx(0.5)


def test_hang(clock: SimClock, bus: SimI2CBus) -> None:
    """A chip that hangs takes the adapter's whole patience, and leaves the others alone."""
    bus.timeout_s = 0.5
    bus.hang(0x40, nth=2, times=1)
    assert outcomes(bus, 3) == "dsd"
    assert clock.monotonic() == 0.5
    bus.read(0x41, 1)
    assert clock.monotonic() == 0.5


def test_slow(clock: SimClock, bus: SimI2CBus) -> None:
    """Transactions take as long as was said, with one address or with all others."""
    bus.slow(0.25, 0x40)
    bus.slow(0.125)
    bus.read(0x40, 1)
    bus.read(0x41, 1)
    assert clock.monotonic() == 0.375


@given(st.binary(min_size=1, max_size=8), st.integers(1, 8))
def test_corrupt(mask: bytes, length: int) -> None:
    """The bits of the mask, and no others, are turned over in what is read, once."""
    bus = SimBackend(SystemClock()).bus("i2c1")
    bus.plug(0x40, Zeros())
    bus.open()
    bus.corrupt(0x40, mask, nth=2)
    assert bus.read(0x40, length) == bytes(length)
    assert bus.read(0x40, length) == mask[:length].ljust(length, b"\0")
    assert bus.read(0x40, length) == bytes(length)
    bus.close()


def test_stick(bus: SimI2CBus) -> None:
    """A held line stays held until what was named frees it, and clocks free no clock line."""
    bus.stick("sda", until="clocks")
    bus.pulse(8)
    assert bus.stuck == "sda"
    bus.pulse(1)
    assert bus.stuck is None
    bus.stick("scl")
    bus.pulse(9)
    assert bus.stuck == "scl"
    bus.release()
    assert outcomes(bus, 1) == "d"
    with pytest.raises(InvalidValueError, match="cannot be clocked free"):
        bus.stick("scl", until="clocks")


def test_not_there(bus: SimI2CBus) -> None:
    """A bus that is not there cannot be opened."""
    bus.close()
    bus.present = False
    with pytest.raises(BrokenError, match="i2c1: the simulated bus is not there"):
        bus.open()
    bus.present = True
    bus.open()
    assert outcomes(bus, 1) == "d"


def test_joined_lines(backend: SimBackend, bus: SimI2CBus) -> None:
    """Spare lines that are wired to the bus show what is held there, and clock it."""
    scl, sda = (backend.digital_input(LineAddress(f"GPIO{n}", "chip", n)) for n in (5, 6))
    bus.join(backend.line("GPIO5"), backend.line("GPIO6"))
    for line in (scl, sda):
        line.open(Pull.UP)
    for held in ("scl", "sda"):
        bus.stick(held)
        assert (scl.read(), sda.read()) == (held != "scl", held != "sda")
        bus.release()
        assert (scl.read(), sda.read()) == (True, True)
    bus.stick("sda", until="clocks")
    for clocks in range(9):
        assert (clocks, sda.read()) == (clocks, False)
        backend.line("GPIO5").drive(False)
        backend.line("GPIO5").release()
    assert (bus.stuck, sda.read()) == (None, True)


def test_without_power(bus: SimI2CBus) -> None:
    """Chips without power do not acknowledge, hold no line, and have forgotten what they were
    told when they have it again; a line that something else holds stays low."""

    class Forgetful(Zeros):
        starts = 0

        def power_on(self) -> None:
            self.starts += 1

    chip = Forgetful()
    bus.plug(0x50, chip)
    bus.stick("sda", until="power")
    bus.powered = False
    assert bus.stuck is None
    assert outcomes(bus, 2) == "nn"
    bus.powered = bus.powered = True
    assert (outcomes(bus, 2), chip.starts) == ("dd", 1)
    bus.stick("sda")
    bus.powered = False
    assert bus.stuck == "sda"
