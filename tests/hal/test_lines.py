"""Lines of a port that may be lost and come back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.backends.linux import LinuxBackend
from edgekernel.backends.sim import SimBackend
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import BrokenError
from edgekernel.hal import LastingPort, LineReader
from edgekernel.hal.address import PortAddress
from edgekernel.sim.clock import SimClock

UART0 = PortAddress("uart0", "/dev/ttyAMA0")

streams = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b"a", b"bc", b"0123456789", b"0123456789abcdef"]),
    max_size=20,
).map(b"".join)


def reader(backend: SimBackend, longest: int = 20, checked: bool = False) -> LineReader:
    """A reader of lines that end with CR LF."""
    port = LastingPort(backend.serial_port(UART0), 9600, 1.0)
    return LineReader(port, longest, end=b"\r\n", checked=checked)


def test_first_line(backend: SimBackend) -> None:
    """What comes before the first line end is dropped: it may lack its beginning."""
    lines, socket = reader(backend), backend.port("uart0")
    assert lines.poll() == []
    socket.inject(b"3.5\r\n24.0\r\n")
    assert lines.poll() == [b"24.0"]
    socket.inject(b"24.1")
    assert lines.poll() == []
    socket.inject(b"\r\n")
    assert lines.poll() == [b"24.1"]
    assert lines.dropped == 3


def test_first_checked_line(backend: SimBackend) -> None:
    """Lines with a checksum are handed out from the first one on."""
    lines, socket = reader(backend, checked=True), backend.port("uart0")
    lines.poll()
    socket.inject(b"PGGA*00\r\n$GPRMC*4B\r\n")
    assert lines.poll() == [b"PGGA*00", b"$GPRMC*4B"]


@pytest.mark.parametrize("checked", [False, True])
def test_resynchronised(backend: SimBackend, checked: bool) -> None:
    """After a loss of the port nothing of the line before it is joined to what comes after."""
    lines, socket = reader(backend, checked=checked), backend.port("uart0")
    lines.poll()
    socket.inject(b"\r\n")
    lines.poll()
    socket.inject(b"1.0\r\n2")
    assert lines.poll() == [b"1.0"]
    socket.present = False
    for _ in range(3):
        with pytest.raises(BrokenError, match="uart0"):
            lines.poll()
    socket.present = True
    assert lines.poll() == []
    socket.inject(b".5\r\n7.0\r\n")
    assert lines.poll() == [b".5", b"7.0"] if checked else [b"7.0"]


@given(stream=streams, sizes=st.lists(st.integers(1, 30), max_size=30), checked=st.booleans())
def test_any_split_gives_the_same(stream: bytes, sizes: list[int], checked: bool) -> None:
    """However a stream comes in, its lines are the same, and no byte is unaccounted for."""
    with SimClock() as clock:
        backend = SimBackend(clock)
        lines, socket = reader(backend, 12, checked), backend.port("uart0")
        read, rest = lines.poll(), stream
        for size in (*sizes, len(stream)):
            socket.inject(rest[:size])
            rest = rest[size:]
            read += lines.poll()
        backend.close()
    *whole, last = stream.split(b"\r\n")
    if checked:
        assert read == [line[-12:] for line in whole]
    else:
        assert read == [line for line in whole[1:] if len(line) <= 12]
    unread = sum(map(len, whole)) - sum(map(len, read))
    assert unread <= lines.dropped <= unread + len(last)


def test_real_port(tmp_path: Path) -> None:
    """A real port that goes and comes back under its stable name is read on, from a new line."""
    by_id = tmp_path / "usb-Prolific_Technology_Inc._USB-Serial_Controller-if00-port0"
    backend = LinuxBackend(SystemClock())
    port = LastingPort(backend.serial_port(PortAddress(str(by_id), str(by_id))), 9600, 1.0)
    lines = LineReader(port, 80)
    try:
        for first in (b"n = 1\n", b"n = 2\n"):
            far, near = os.openpty()
            by_id.symlink_to(os.ttyname(near))
            assert lines.poll() == []
            os.write(far, b"lacks its beginning\n" + first + b"n =")
            while not (read := lines.poll()):  # it takes the kernel a moment
                pass
            assert read == [first.rstrip()]
            os.close(far)
            os.close(near)
            by_id.unlink()
            for _ in range(2):
                with pytest.raises(BrokenError, match=rf"^{by_id}: "):
                    lines.poll()
    finally:
        backend.close()
    assert port.openings == 2
