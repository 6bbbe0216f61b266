"""A serial port of a record: the same bytes at the same times, however they are read."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.backends.recording import Transaction
from edgekernel.backends.replay import ReplayBackend
from edgekernel.backends.replay.serial import ReplaySerial
from edgekernel.core.errors import BrokenError, ClosedError
from edgekernel.hal.address import PortAddress
from edgekernel.sim import SimClock
from tests.backends.replay.calls import PORT, SECOND, call, tape


def opened(clock: SimClock, *calls: Transaction, timeout_s: float = 2.0) -> ReplaySerial:
    """Return an open port with calls."""
    port = ReplayBackend(tape(clock, *calls)).serial_port(PortAddress("uart0", "/dev/ttyS0"))
    port.open(9600, timeout_s)
    return port


def available(at_s: float, data: bytes | Exception) -> Transaction:
    """Return a poll of what had been received."""
    return call(PORT, at_s, "read_available", gives=data)


def test_the_same_reads(clock: SimClock) -> None:
    """Who reads as was read gets the same, call by call, in its time."""
    port = opened(
        clock,
        call(PORT, 0.5, "read_until", b"\n", 80, gives=b"one\n", took_s=0.5),
        call(PORT, 1.5, "read_until", b"\n", 80, gives=b"", took_s=1.0),
        available(2, b"two"),
        call(PORT, 2.5, "read_frame", 0.01, 9, gives=b"three", took_s=0.5),
    )
    assert port.read_until(b"\n", 80) == b"one\n"
    assert clock.monotonic_ns() == 0.5 * SECOND
    assert port.read_until(b"\n", 80) == b""
    assert clock.monotonic_ns() == 1.5 * SECOND
    clock.advance(0.5)
    assert port.read_available() == b"two"
    assert port.read_frame(0.01, 9) == b"three"


def test_more_often(clock: SimClock) -> None:
    """Who asks more often what has come gets nothing until it came."""
    port = opened(clock, available(5, b"abc"), available(10, b"def"))
    found = []
    for _ in range(11):
        found.append(port.read_available())
        clock.advance(1)
    assert found == [b"", b"", b"", b"", b"", b"abc", b"", b"", b"", b"", b"def"]


def test_more_rarely(clock: SimClock) -> None:
    """Who asks more rarely gets all that has come meanwhile."""
    port = opened(clock, *(available(at_s, bytes([64 + at_s])) for at_s in range(1, 9)))
    clock.advance(8)
    assert port.read_available() == b"ABCDEFGH"


def test_other_reads(clock: SimClock) -> None:
    """Who reads otherwise gets the bytes at their times, cut as he asks, and waits for them no
    longer than his timeout."""
    port = opened(clock, available(1, b"one\nt"), available(2, b"wo\n"), available(9, b"late"))
    assert port.read_until(b"\n", 80) == b"one\n"
    assert clock.monotonic_ns() == 1 * SECOND
    assert port.read(2) == b"tw"
    assert clock.monotonic_ns() == 2 * SECOND
    assert port.read_until(b"\n", 1) == b"o"
    assert port.read(5) == b"\n"
    assert clock.monotonic_ns() == 4 * SECOND
    assert port.read_frame(0.01, 9) == b""
    assert clock.monotonic_ns() == 6 * SECOND
    port.discard_input()
    clock.advance(2)
    assert port.read_frame(0.01, 9) == b"late"
    assert clock.monotonic_ns() == 9 * SECOND


def test_a_port_that_goes(clock: SimClock) -> None:
    """A failure of the port comes at its time, for other reads too; a closed one is told."""
    port = opened(clock, available(1, BrokenError("uart0: gone")), available(3, b"back"))
    with pytest.raises(BrokenError, match="gone"):
        port.read(1)
    assert clock.monotonic_ns() == 1 * SECOND
    assert port.read(4) == b"back"
    port.write(b"x")
    port.flush()
    port.close()
    with pytest.raises(ClosedError, match="uart0: read: the port is not open"):
        port.read(1)
    with pytest.raises(ClosedError):
        port.write(b"x")


@given(
    st.lists(st.tuples(st.integers(1, 5), st.binary(max_size=6)), max_size=8),
    st.lists(st.sampled_from(["read", "available", "until", "frame"]), max_size=12),
)
def test_no_byte_is_lost(chunks: list[tuple[int, bytes]], reads: list[str]) -> None:
    """However it is read, every byte comes once and in order."""
    with SimClock() as clock:
        at_s, calls = 0, []
        for wait_s, data in chunks:
            at_s += wait_s
            calls.append(available(at_s, data))
        port = opened(clock, *calls)
        ways: dict[str, Callable[[], bytes]] = {
            "read": lambda: port.read(3),
            "available": port.read_available,
            "until": lambda: port.read_until(b"\n", 4),
            "frame": lambda: port.read_frame(0.01, 4),
        }
        got = b"".join(ways[each]() for each in reads)
        clock.advance(100)
        got += port.read_available() + port.read_available()
    assert got == b"".join(data for _, data in chunks)
