"""What becomes of a simulated board whose user dies: it reaches nothing, then all is free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import BusyError, EdgekernelError
from edgekernel.hal.address import BusAddress, LineAddress, PortAddress, SpiAddress
from edgekernel.hal.gpio import Edge, Pull
from edgekernel.sim import SimClock

OUT, IN = LineAddress("GPIO17", "chip0", 17), LineAddress("GPIO27", "chip0", 27)
BUS, PORT = BusAddress("i2c1", "/dev/i2c-1"), PortAddress("uart0", "/dev/ttyS0")
SELECT = SpiAddress("spi0.0", "/dev/spidev0.0")


class Chip:
    """A chip that keeps what it is told."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.written += data

    def read(self, length: int) -> bytes:
        """Answer zeros."""
        return bytes(length)


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock."""
    with SimClock() as made:
        yield made


@pytest.fixture
def board(clock: SimClock) -> Iterator[SimBackend]:
    """A board with a chip at 0x20 of i2c1."""
    made = SimBackend(clock)
    made.bus("i2c1").plug(0x20, Chip())
    yield made
    made.close()


def test_levels_stay_and_lines_are_free(board: SimBackend, clock: SimClock) -> None:
    """After a death a line has the level that it had, nobody's last write comes through, and
    another one can open it."""
    output = board.digital_output(OUT)
    output.open(True)
    board.cut_off()
    output.write(False)
    assert board.line("GPIO17").level
    with pytest.raises(BusyError):
        board.digital_output(OUT).open(False)
    board.vacate(clock)
    assert board.line("GPIO17").level
    again = board.digital_output(OUT)
    again.open(None)
    assert again.read()
    again.write(False)
    assert not board.line("GPIO17").level


def test_edges_go_to_the_new_one(board: SimBackend, clock: SimClock) -> None:
    """Who has died is told of no edge any more."""
    dead, alive = list[Edge](), list[Edge]()
    board.digital_input(IN).open(Pull.UP, dead.append)
    board.cut_off()
    board.vacate(clock)
    board.line("GPIO27").drive(False)
    board.digital_input(IN).open(Pull.UP, alive.append)
    board.line("GPIO27").drive(True)
    clock.advance(1)
    assert dead == []
    assert [each.level for each in alive] == [True]


def test_bus_within_a_transaction(board: SimBackend, clock: SimClock) -> None:
    """A bus that was held is free; the chip and the faults of the bus stay; nothing more of the
    dead one reaches the chip."""
    bus = board.i2c_bus(BUS)
    bus.open()
    held = bus.held()
    held.__enter__()
    board.bus("i2c1").slow(0.5)
    board.cut_off()
    with suppress(EdgekernelError):
        bus.write(0x20, b"late")
    board.vacate(clock)
    again = board.i2c_bus(BUS)
    again.open()
    begun_s = clock.monotonic()
    again.write(0x20, b"new")
    assert clock.monotonic() - begun_s == 0.5
    chip = board.bus("i2c1")._targets.chips[0x20, False]
    assert isinstance(chip, Chip)
    assert chip.written == b"new"


def test_port_and_select(board: SimBackend, clock: SimClock) -> None:
    """A port and a chip select that were open can be opened, and what the dead one sends is
    lost."""
    port, select = board.serial_port(PORT), board.spi_device(SELECT)
    port.open(9600, 0.1)
    select.open(1_000_000)
    board.cut_off()
    port.write(b"late")
    board.vacate(clock)
    board.serial_port(PORT).open(9600, 0.1)
    board.spi_device(SELECT).open(1_000_000)


def test_power_off(board: SimBackend, clock: SimClock) -> None:
    """Without power a line is an input and low, and tells those outside; one that the outside
    drives has that level."""
    seen = list[bool]()
    board.digital_output(OUT).open(True)
    board.digital_input(IN).open(Pull.UP)
    board.line("GPIO17").watch(seen.append)
    board.cut_off()
    board.vacate(clock)
    board.power_off()
    assert (board.line("GPIO17").level, board.line("GPIO17").function) == (False, "input")
    assert not board.line("GPIO27").level
    assert seen == [False]
    board.line("GPIO27").drive(True)
    board.power_off()
    assert board.line("GPIO27").level
