"""Serial ports of Linux, on real pseudo-terminals."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekernel.backends.backend import Backend
from edgekernel.backends.linux import LinuxBackend
from edgekernel.backends.linux.serial import serial_opener
from edgekernel.backends.pyserial_port import PortSettings
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import BrokenError, BusyError, ClosedError, InvalidValueError
from edgekernel.hal import Parity, Rs485, SerialPort
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


def _every_call(port: SerialPort) -> tuple[Callable[[], object], ...]:
    return (
        lambda: port.read(1),
        port.read_available,
        lambda: port.read_until(b"\n", 80),
        lambda: port.read_frame(0.01, 80),
        lambda: port.write(b"x"),
        port.flush,
        port.discard_input,
    )


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


def test_read_until(port: SerialPort, terminal: Terminal) -> None:
    """A line ends with its end or at the limit; what follows is there for whatever reads next."""
    os.write(terminal.far, b"one\r\ntwo\r\nthree\r\n\x04rest")
    assert port.read_until(b"\r\n", 80) == b"one\r\n"
    assert port.read_until(b"\r\n", 4) == b"two\r"
    assert port.read_until(b"\n", 80) == b"\n"
    assert port.read(5) == b"three"
    assert port.read_until(b"\r\n", 2) == b"\r\n"
    assert port.read_available() == b"\x04rest"


def test_read_until_in_pieces(port: SerialPort, terminal: Terminal) -> None:
    """An end that comes in pieces, with a pause between them, is found."""
    os.write(terminal.far, b"value\r")
    writer = threading.Timer(0.02, os.write, (terminal.far, b"\nmore"))
    writer.start()
    assert port.read_until(b"\r\n", 80) == b"value\r\n"
    writer.join()
    assert port.read_available() == b"more"


def test_read_until_timeout(backend: Backend, terminal: Terminal) -> None:
    """When the timeout comes first, what has been received is returned without its end."""
    port = backend.serial_port(PortAddress("uart0", terminal.device))
    port.open(9600, 0.01)
    os.write(terminal.far, b"val")
    assert port.read_until(b"\n", 80) == b"val"


def test_read_frame(backend: Backend, terminal: Terminal) -> None:
    """A frame ends with a silence or at its limit; without one there is nothing at the timeout."""
    port = backend.serial_port(PortAddress("uart0", terminal.device))
    port.open(9600, 0.05)
    os.write(terminal.far, b"\x01\x03\x02")
    writer = threading.Timer(0.02, os.write, (terminal.far, b"\x12\x34"))
    writer.start()
    assert port.read_frame(0.5, 256) == b"\x01\x03\x02\x12\x34"
    writer.join()
    os.write(terminal.far, b"abcdef")
    assert port.read_frame(0.5, 4) == b"abcd"
    assert port.read_frame(0.01, 4) == b"ef"
    assert port.read_frame(0.01, 4) == b""


def test_discard_input(port: SerialPort, terminal: Terminal) -> None:
    """What was received and not read is lost, by the kernel and by a search for a line."""
    os.write(terminal.far, b"one\ntwo")
    assert port.read_until(b"\n", 80) == b"one\n"
    port.discard_input()
    assert port.read_available() == b""
    os.write(terminal.far, b"three")
    assert port.read(1) == b"t"
    port.discard_input()
    assert port.read_available() == b""


def test_flush(port: SerialPort, terminal: Terminal) -> None:
    """After a flush everything has left."""
    port.write(b"x" * 300)
    port.flush()
    received = b""
    while len(received) < 300:
        received += os.read(terminal.far, 4096)
    assert received == b"x" * 300


def test_framing(backend: Backend, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data bits, parity and stop bits are asked of the kernel (a pseudo-terminal has no parity)."""
    asked: list[int] = []
    real = termios.tcsetattr

    def tcsetattr(file: int, when: int, attributes: list[Any]) -> None:
        asked.append(attributes[2])
        real(file, when, attributes)

    monkeypatch.setattr("serial.serialposix.termios.tcsetattr", tcsetattr)
    port = backend.serial_port(PortAddress("uart0", terminal.device))
    for bits, parity, stop_bits, flags in (
        (8, Parity.NONE, 1, termios.CS8),
        (7, Parity.EVEN, 2, termios.CS7 | termios.PARENB | termios.CSTOPB),
        (8, Parity.ODD, 1, termios.CS8 | termios.PARENB | termios.PARODD),
    ):
        port.open(19200, 1.0, data_bits=bits, parity=parity, stop_bits=stop_bits)
        port.close()
        mask = termios.CSIZE | termios.PARENB | termios.PARODD | termios.CSTOPB
        assert asked[-1] & mask == flags


def test_no_rs485(backend: Backend, terminal: Terminal) -> None:
    """A port whose driver knows no RS-485 refuses it, says what to do, and is closed again."""
    port = backend.serial_port(PortAddress("uart0", terminal.device))
    with pytest.raises(InvalidValueError, match=r"uart0 .*knows no RS-485.*leave out"):
        port.open(9600, 1.0, rs485=Rs485())
    port.open(9600, 1.0)


def test_replugged(backend: Backend, tmp_path: Path) -> None:
    """A stable name is followed anew at each opening, to whatever device file it names by then."""
    by_id = tmp_path / "usb-FTDI_FT232R_A50285BI-if00-port0"
    port = backend.serial_port(PortAddress(str(by_id), str(by_id)))
    for data in (b"first", b"second"):
        terminal = Terminal()
        by_id.symlink_to(terminal.device)
        port.open(9600, 1.0)
        os.write(terminal.far, data)
        assert port.read(len(data)) == data
        terminal.hang_up()
        by_id.unlink()
        with pytest.raises(BrokenError, match=rf"^{by_id}: "):
            port.read(1)
        port.close()
        with pytest.raises(BrokenError, match=rf"^{by_id}: not there"):
            port.open(9600, 1.0)


def test_exclusive(backend: Backend, port: SerialPort, terminal: Terminal) -> None:
    """A port that somebody has open is busy, and free again after close."""
    other = backend.serial_port(PortAddress("gps", terminal.device))
    with pytest.raises(BusyError, match=rf"gps \({terminal.device}\): in use by this process"):
        other.open(9600, 1.0)
    with pytest.raises(BusyError, match=r"uart0 .*: already open"):
        port.open(9600, 1.0)
    port.close()
    other.open(115200, 1.0)


def test_far_end_goes(port: SerialPort, terminal: Terminal) -> None:
    """After the far end has gone, every call is broken and names the port."""
    terminal.hang_up()
    for attempt in _every_call(port):
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


def test_held_by_another_process(backend: Backend, terminal: Terminal) -> None:
    """Whoever holds a port is named with its process id and command."""
    program = (
        f"import serial; s = serial.Serial({terminal.device!r}, exclusive=True); input('held')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.read(4) == b"held"
            port = backend.serial_port(PortAddress("uart0", terminal.device))
            with pytest.raises(BusyError, match=rf"in use by .*\(process {holder.pid}\)"):
                port.open(9600, 1.0)
        finally:
            holder.communicate(b"\n")


@pytest.mark.parametrize(
    ("command_line", "hint"),
    [
        ("console=serial0,115200 console=tty1 root=/dev/mmcblk0p2", "console=serial0,115200"),
        ("console={near}", "console={near}"),
        ("console=tty1 root=/dev/mmcblk0p2", ""),
    ],
)
def test_serial_console(
    terminal: Terminal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command_line: str,
    hint: str,
) -> None:
    """A port that is refused while the kernel has its console there says so."""

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    near = Path(terminal.device).name
    (tmp_path / "cmdline").write_text(command_line.format(near=near) + "\n")
    serial0 = tmp_path / "serial0"
    serial0.symlink_to(terminal.device)
    port = PortAddress("uart0", str(serial0))
    monkeypatch.setattr("serial.serialposix.os.open", refuse)
    with pytest.raises(BrokenError) as caught:
        serial_opener(port, tmp_path)(PortSettings(9600, 1.0))
    assert ("serial console" in str(caught.value)) == bool(hint)
    assert hint.format(near=near) in str(caught.value)


def test_closed(port: SerialPort) -> None:
    """After close every call raises ClosedError, and closing again is harmless."""
    port.close()
    port.close()
    for attempt in _every_call(port):
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


@pytest.mark.parametrize(
    "settings",
    [
        {"baudrate": 0},
        {"baudrate": -1},
        {"timeout_s": -1.0},
        {"data_bits": 9},
        {"data_bits": 6},
        {"stop_bits": 0},
        {"rs485": Rs485(delay_before_s=0.11)},
        {"rs485": Rs485(delay_after_s=-0.001)},
    ],
    ids=str,
)
def test_invalid_settings(backend: Backend, terminal: Terminal, settings: dict[str, Any]) -> None:
    """A setting that no port can have is refused before the port is touched."""
    port = backend.serial_port(PortAddress("uart0", terminal.device))
    with pytest.raises(InvalidValueError, match="uart0"):
        port.open(**{"baudrate": 9600, "timeout_s": 1.0, **settings})
    with pytest.raises(ClosedError):
        port.read(1)


def test_invalid_calls(port: SerialPort) -> None:
    """A search for nothing, a limit shorter than the end, and a frame without a gap are refused."""
    attempts: tuple[Callable[[], object], ...] = (
        lambda: port.read_until(b"", 80),
        lambda: port.read_until(b"\r\n", 1),
        lambda: port.read_frame(0.0, 80),
        lambda: port.read_frame(0.01, 0),
    )
    for attempt in attempts:
        with pytest.raises(InvalidValueError, match="uart0"):
            attempt()


def test_backend_close(backend: Backend, port: SerialPort) -> None:
    """Closing the backend closes its ports."""
    backend.close()
    with pytest.raises(ClosedError):
        port.read(1)
