"""RecordingBackend: what came of every call is told, with its times, and so is every edge."""

from __future__ import annotations

import pytest

from edgekernel.backends.recording import LineEdge, RecordingBackend, Transaction
from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import NackError
from edgekernel.hal import Edge, Pull
from edgekernel.hal.address import BusAddress, LineAddress
from edgekernel.sim import SimClock

LINE = LineAddress("GPIO17", "gpiochip0", 17)


class SlowChip:
    """A chip that takes its time."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock

    def write(self, data: bytes) -> None:
        """Take 2 ms."""
        self._clock.sleep(0.002)

    def read(self, length: int) -> bytes:
        """Answer at once."""
        return bytes(length)


def test_call_and_error() -> None:
    """A call is told with its result and how long it took; one that raises, with its error."""
    told: list[Transaction | LineEdge] = []
    with SimClock() as clock:
        board = SimBackend(clock)
        bus = RecordingBackend(board, clock, told.append).i2c_bus(BusAddress("i2c1", ""))
        board.bus("i2c1").plug(0x76, SlowChip(clock))
        bus.open()
        clock.advance(1)
        bus.write_read(0x76, b"\xd0", 2)
        with pytest.raises(NackError) as refused:
            bus.read(0x20, 1)
        time_ns = clock.time_ns()
        bus.close()
    end = 1_002_000_000
    times, bus_of = (end, time_ns), ("i2c", "i2c1")
    args = 0x76, b"\xd0", 2
    assert told[1:3] == [
        Transaction(*times, *bus_of, "write_read", args, {}, b"\0\0", None, "", 2_000_000),
        Transaction(
            *times, *bus_of, "read", (0x20, 1), {}, None, "NackError", str(refused.value), 0
        ),
    ]


def test_edges() -> None:
    """An edge is told with the time that it bears."""
    told: list[Transaction | LineEdge] = []
    with SimClock() as clock:
        board = SimBackend(clock)
        line = RecordingBackend(board, clock, told.append).digital_input(LINE)
        line.open(Pull.UP, lambda edge: None)
        clock.advance(0.5)
        board.line("GPIO17").drive(False)
        line.close()
        edge = Edge(False, 500_000_000)
        assert told[1] == LineEdge(500_000_000, clock.time_ns(), "GPIO17", edge)
