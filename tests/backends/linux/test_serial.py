"""Serial ports of Linux, on real pseudo-terminals."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekernel.backends.backend import Backend
from edgekernel.backends.linux import LinuxBackend
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import BrokenError, BusyError, ClosedError, InvalidValueError
from edgekernel.hal import SerialPort
from edgekernel.hal.address import PortAddress


class Terminal:
    """A pseudo-terminal: the far end of a line, and the device file of the near end."""

    def __init__(self) -> None:
        self.far, near = os.openpty()
        self.device = os.ttyname(near)
        self._files = [self.far, near]

    def hang_up(self) -> None:
        """Close both, as when an adapter is unplugged."""
        while self._files:
            os.close(self._files.pop())


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """A pseudo-terminal."""
    made = Terminal()
    yield made
    made.hang_up()


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A LinuxBackend."""
    made = LinuxBackend(SystemClock())
    yield made
    made.close()


@pytest.fixture
def port(backend: Backend, terminal: Terminal) -> SerialPort:
    """A port on the pseudo-terminal, open with a timeout that no test waits for."""
    made = backend.serial_port(PortAddress("uart0", terminal.device))
    made.open(9600, 60.0)
    return made


def test_read(port: SerialPort, terminal: Terminal) -> None:
    """A read returns exactly as many bytes as asked for, and leaves the rest."""
    os.write(terminal.far, b"\x00\xff\r\n\x03")
    assert port.read(2) == b"\x00\xff"
    assert port.read(0) == b""
    assert port.read(3) == b"\r\n\x03"


def test_read_available(port: SerialPort, terminal: Terminal) -> None:
    """What has been received is returned without waiting for more."""
    assert port.read_available() == b""
    os.write(terminal.far, b"abc")
    assert port.read(1) == b"a"
    assert port.read_available() == b"bc"


def test_timeout(backend: Backend, terminal: Terminal) -> None:
    """When the timeout comes first, a read returns what there is."""
    port = backend.serial_port(PortAddress("uart0", terminal.device))
    port.open(9600, 0.01)
    os.write(terminal.far, b"ab")
    assert port.read(3) == b"ab"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=2000))
def test_write(port: SerialPort, terminal: Terminal, data: bytes) -> None:
    """Bytes of any value and number arrive whole and unchanged."""
    port.write(data)
    received = b""
    while len(received) < len(data):
        received += os.read(terminal.far, 4096)
    assert received == data


def test_exclusive(backend: Backend, port: SerialPort, terminal: Terminal) -> None:
    """A port that somebody has open is busy, and free again after close."""
    other = backend.serial_port(PortAddress("gps", terminal.device))
    with pytest.raises(BusyError, match=rf"gps \({terminal.device}\): in use by another process"):
        other.open(9600, 1.0)
    with pytest.raises(BusyError, match=r"uart0 .*: already open"):
        port.open(9600, 1.0)
    port.close()
    other.open(115200, 1.0)


def test_far_end_goes(port: SerialPort, terminal: Terminal) -> None:
    """After the far end has gone, every call is broken and names the port."""
    terminal.hang_up()
    for attempt in (lambda: port.read(1), port.read_available, lambda: port.write(b"x")):
        with pytest.raises(BrokenError, match=rf"uart0 \({terminal.device}\)"):
            attempt()


def test_missing(backend: Backend) -> None:
    """A port that is not there is broken; a port named by its path is named once."""
    port = backend.serial_port(PortAddress("/dev/ttyNONE", "/dev/ttyNONE"))
    with pytest.raises(BrokenError, match=r"^/dev/ttyNONE: not there"):
        port.open(9600, 1.0)


def test_no_terminal(backend: Backend, tmp_path: Path) -> None:
    """A file that is no serial port is broken, and is closed again."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(BrokenError, match="cannot be opened"):
        backend.serial_port(PortAddress("uart0", str(file))).open(9600, 1.0)


def test_no_permission(
    backend: Backend, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that must not be opened names the group that is needed."""

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("serial.serialposix.os.open", refuse)
    with pytest.raises(BrokenError, match="group dialout"):
        backend.serial_port(PortAddress("uart0", terminal.device)).open(9600, 1.0)


def test_closed(port: SerialPort) -> None:
    """After close every call raises ClosedError, and closing again is harmless."""
    port.close()
    port.close()
    for attempt in (lambda: port.read(1), port.read_available, lambda: port.write(b"x")):
        with pytest.raises(ClosedError, match="uart0"):
            attempt()


def test_close_wakes_reader(port: SerialPort) -> None:
    """Closing from another thread ends a read that waits, with ClosedError."""
    raised: list[BaseException] = []

    def read() -> None:
        try:
            port.read(1)
        except ClosedError as error:
            raised.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    port.close()
    reader.join(30)
    assert not reader.is_alive()
    assert len(raised) == 1


@pytest.mark.parametrize(("baudrate", "timeout_s"), [(0, 1.0), (-1, 1.0), (9600, -1.0)])
def test_invalid_settings(
    backend: Backend, terminal: Terminal, baudrate: int, timeout_s: float
) -> None:
    """A speed of 0 or less or a negative timeout is refused before the port is touched."""
    with pytest.raises(InvalidValueError, match="uart0"):
        backend.serial_port(PortAddress("uart0", terminal.device)).open(baudrate, timeout_s)


def test_backend_close(backend: Backend, port: SerialPort) -> None:
    """Closing the backend closes its ports."""
    backend.close()
    with pytest.raises(ClosedError):
        port.read(1)
