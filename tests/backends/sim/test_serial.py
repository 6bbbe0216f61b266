"""Simulated serial ports: pyserial's class, a far end in Python, simulated time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serial import PortNotOpenError, SerialTimeoutException

from edgekernel.backends.sim import Loopback, SimBackend, SimSerial
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import BrokenError, BusyError, ClosedError, InvalidValueError
from edgekernel.hal import Parity, SerialPort
from edgekernel.hal.address import PortAddress
from edgekernel.sim.clock import SimClock

UART0 = PortAddress("uart0", "/dev/ttyAMA0")


class Ticker:
    """A far end that sends one byte at every full second: 1, 2, 3, ..."""

    def __init__(self) -> None:
        self._sent = 0

    def received(self, data: bytes, now_s: float) -> None:
        raise AssertionError("nobody writes to it")

    def due(self, now_s: float) -> bytes:
        first, self._sent = self._sent, int(now_s)
        return bytes(range(first + 1, self._sent + 1))


class Timed:
    """A far end that sends bytes at given times."""

    def __init__(self, sends: list[tuple[float, bytes]]) -> None:
        self._sends = sends

    def received(self, data: bytes, now_s: float) -> None:
        raise AssertionError("nobody writes to it")

    def due(self, now_s: float) -> bytes:
        due = [data for at_s, data in self._sends if at_s <= now_s]
        self._sends = self._sends[len(due) :]
        return b"".join(due)


class Parts:
    """A far end that sends a stream in pieces, one each time it is asked."""

    def __init__(self, stream: bytes, sizes: list[int]) -> None:
        self._stream, self._sizes = stream, sizes
        self._plugged = False

    def received(self, data: bytes, now_s: float) -> None:
        raise AssertionError("nobody writes to it")

    def due(self, now_s: float) -> bytes:
        if not self._plugged:  # what it sends while it is plugged in is lost
            self._plugged = True
            return b""
        size = self._sizes.pop(0) if self._sizes else len(self._stream)
        sent, self._stream = self._stream[:size], self._stream[size:]
        return sent


def _cut(stream: bytes, limit: int) -> list[bytes]:
    """Cut a stream behind each CR LF, and where a piece would be longer than the limit."""
    pieces = []
    while stream:
        at = stream.find(b"\r\n", 0, limit)
        end = at + 2 if at >= 0 else limit
        pieces.append(stream[:end])
        stream = stream[end:]
    return pieces


class Echo:
    """A far end that sends back what it received, with the time of it."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._pending = b""

    def received(self, data: bytes, now_s: float) -> None:
        self.times.append(now_s)
        self._pending += data

    def due(self, now_s: float) -> bytes:
        pending, self._pending = self._pending, b""
        return pending


def _open(backend: SimBackend, timeout_s: float = 5.0) -> SerialPort:
    port = backend.serial_port(UART0)
    port.open(9600, timeout_s)
    return port


def test_read_waits(backend: SimBackend, clock: SimClock) -> None:
    """A read waits on the clock until its bytes have come, and no longer."""
    backend.port("uart0").plug(Ticker())
    assert _open(backend).read(3) == b"\x01\x02\x03"
    assert 3.0 <= clock.monotonic() < 3.02


def test_timeout(backend: SimBackend, clock: SimClock) -> None:
    """When the timeout comes first, a read returns what there is, exactly at the timeout."""
    backend.port("uart0").plug(Ticker())
    port = _open(backend, 2.5)
    assert port.read(9) == b"\x01\x02"
    assert clock.monotonic_ns() == 2_500_000_000
    assert port.read_available() == b""
    assert clock.monotonic_ns() == 2_500_000_000


def test_both_ways(backend: SimBackend, clock: SimClock) -> None:
    """Bytes go out with the time of their sending, and come back whole."""
    echo = Echo()
    backend.port("uart0").plug(echo)
    port = _open(backend)
    clock.advance(1.25)
    port.write(b"ping")
    assert port.read(2) == b"pi"
    assert port.read_available() == b"ng"
    assert echo.times == [1.25]


@given(data=st.binary(max_size=3000), length=st.integers(1, 3000))
def test_bytes_pass(data: bytes, length: int) -> None:
    """Bytes of any value and number pass, however they are cut into reads."""
    backend = SimBackend(SystemClock())
    backend.port("uart0").plug(Echo())
    port = _open(backend, 0.0)
    port.write(data)
    read = b""
    while part := port.read(length):
        read += part
    assert read == data
    port.close()


def test_silent(backend: SimBackend, clock: SimClock) -> None:
    """A port with nothing plugged in takes bytes and is silent."""
    port = _open(backend, 1.0)
    port.write(b"anybody there?")
    assert port.read(1) == b""
    assert clock.monotonic() == 1.0


def test_unplug(backend: SimBackend, clock: SimClock) -> None:
    """After the far end is unplugged the port is silent; another one can be plugged in."""
    backend.port("uart0").plug(Ticker())
    port = _open(backend)
    backend.port("uart0").unplug()
    clock.advance(10.0)
    assert port.read_available() == b""
    backend.port("uart0").plug(Ticker())
    clock.advance(1.0)
    assert port.read_available() == b"\x0b"


def test_closed_port_hears_nothing(backend: SimBackend, clock: SimClock) -> None:
    """What the far end sends while the port is closed is lost, as on a wire."""
    backend.port("uart0").plug(Ticker())
    clock.advance(10.0)
    port = _open(backend)
    assert port.read(1) == b"\x0b"


def test_port_goes(backend: SimBackend, clock: SimClock) -> None:
    """A port that has gone is broken for who has it open and for who opens it, until it is back."""
    port = _open(backend)
    backend.port("uart0").present = False
    for attempt in (lambda: port.read(1), port.read_available, lambda: port.write(b"x")):
        with pytest.raises(BrokenError, match=r"uart0 \(/dev/ttyAMA0\)"):
            attempt()
    port.close()
    with pytest.raises(BrokenError, match="not there"):
        port.open(9600, 1.0)
    backend.port("uart0").present = True
    port.open(9600, 1.0)


def test_one_user(backend: SimBackend) -> None:
    """A port that somebody has open is busy, and free again after close."""
    first, second = _open(backend), backend.serial_port(UART0)
    with pytest.raises(BusyError, match="uart0"):
        second.open(9600, 1.0)
    first.close()
    second.open(9600, 1.0)


def test_closed(backend: SimBackend) -> None:
    """Before open and after close every call raises ClosedError; closing twice is harmless."""
    port = backend.serial_port(UART0)
    with pytest.raises(ClosedError, match="uart0"):
        port.read(1)
    port.open(9600, 1.0)
    backend.close()
    port.close()
    with pytest.raises(ClosedError, match="uart0"):
        port.write(b"x")


def test_close_wakes_reader(backend: SimBackend, clock: SimClock) -> None:
    """Closing from elsewhere ends a read that waits, at once and with ClosedError."""
    port = _open(backend, 60.0)
    raised: list[Exception] = []

    def read() -> None:
        try:
            port.read(1)
        except ClosedError as error:
            raised.append(error)

    reader = clock.Thread(read, "reader")
    reader.start()
    clock.advance(1.0)
    port.close()
    reader.join()
    assert clock.monotonic() == 1.0
    assert len(raised) == 1


def test_invalid(backend: SimBackend) -> None:
    """Impossible settings and lengths are refused with the name of the port."""
    port = backend.serial_port(UART0)
    for baudrate, timeout_s in ((0, 1.0), (9600, -1.0), (9600, float("nan"))):
        with pytest.raises(InvalidValueError, match="uart0"):
            port.open(baudrate, timeout_s)
    port.open(9600, 1.0)
    with pytest.raises(InvalidValueError, match="a read of -1 bytes"):
        port.read(-1)


def test_read_until(backend: SimBackend, clock: SimClock) -> None:
    """A line is there as soon as its end is; at the timeout what there is is returned."""
    socket, port = backend.port("uart0"), _open(backend, 2.0)
    socket.inject(b"one\ntw")
    assert port.read_until(b"\n", 80) == b"one\n"
    assert clock.monotonic() == 0
    assert port.read_until(b"\n", 80) == b"tw"
    assert clock.monotonic() == 2.0


@given(
    stream=st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"bcd"]), max_size=30).map(
        b"".join
    ),
    sizes=st.lists(st.integers(1, 20), max_size=20),
    limit=st.integers(2, 20),
)
def test_lines_in_any_pieces(stream: bytes, sizes: list[int], limit: int) -> None:
    """However a stream comes in, its lines are the same, and nothing of it is lost."""
    with SimClock() as clock:
        backend = SimBackend(clock)
        port = _open(backend, 1.0)
        sender = Parts(stream, sizes)
        backend.port("uart0").plug(sender)
        read = []
        while line := port.read_until(b"\r\n", limit):
            read.append(line)
        assert b"".join(read) == stream
        assert read == _cut(stream, limit)
        backend.close()


def test_frames_at_real_speed(backend: SimBackend, clock: SimClock) -> None:
    """At real speed frames are told apart by the silence between them, to the byte."""
    socket, port = backend.port("uart0"), _open(backend, 1.0)
    socket.real_speed = True
    byte_s = 10 / 9600
    socket.plug(Timed([(0.1, b"\x01\x03\x00"), (0.1 + 3 * byte_s + 0.006, b"\x01\x83\x02")]))
    assert port.read_frame(3.5 * byte_s, 256) == b"\x01\x03\x00"
    assert clock.monotonic() == pytest.approx(0.1 + 6.5 * byte_s, abs=2 * byte_s)
    assert port.read_frame(3.5 * byte_s, 256) == b"\x01\x83\x02"
    assert port.read_frame(3.5 * byte_s, 256) == b""


def test_real_speed(backend: SimBackend, clock: SimClock) -> None:
    """At real speed bytes take their time at the settings of the port, both ways."""
    echo, socket, port = Echo(), backend.port("uart0"), backend.serial_port(UART0)
    socket.real_speed = True
    socket.plug(echo)
    port.open(300, 10.0, data_bits=7, parity=Parity.EVEN, stop_bits=2)
    port.write(b"U" * 30)
    assert clock.monotonic() == 0
    port.flush()
    assert clock.monotonic() == pytest.approx(1.1)  # 30 bytes of 11 bits
    assert echo.times == pytest.approx([(n + 1) * 11 / 300 for n in range(30)])
    assert port.read(30) == b"U" * 30
    assert clock.monotonic() == pytest.approx(1.1 + 11 / 300, abs=0.04)


def test_long_write_at_real_speed(backend: SimBackend, clock: SimClock) -> None:
    """A write that is longer than the port's buffer waits for what does not fit."""
    socket, port = backend.port("uart0"), _open(backend)
    socket.real_speed = True
    port.write(bytes(160))
    assert clock.monotonic() == pytest.approx(96 * 10 / 9600, abs=0.002)
    port.write(bytes(10_000))  # ten seconds: one timeout does not do for it
    assert clock.monotonic() > 10


def test_seven_bits(backend: SimBackend) -> None:
    """A port of 7 data bits passes 7 bits of each byte."""
    backend.port("uart0").plug(Echo())
    port = backend.serial_port(UART0)
    port.open(9600, 1.0, data_bits=7)
    port.write(b"\xc1A")
    assert port.read_available() == b"AA"


def test_faults(backend: SimBackend) -> None:
    """Noise comes in between; bytes of the far end are lost or spoilt, as many as were asked."""
    socket, port = backend.port("uart0"), _open(backend)
    socket.plug(Echo())
    socket.inject(b"\xff\x00")
    port.write(b"abc")
    assert port.read_available() == b"\xff\x00abc"
    socket.drop(2)
    socket.corrupt(1)
    port.write(b"a")
    port.write(b"bcd")
    assert port.read_available() == b"\x9cd"
    port.write(b"whole")
    assert port.read_available() == b"whole"


def test_discard_input(backend: SimBackend) -> None:
    """What was received and not read is lost, whoever had it."""
    socket, port = backend.port("uart0"), _open(backend)
    socket.inject(b"one\ntwo")
    assert port.read_until(b"\n", 80) == b"one\n"
    socket.inject(b"three")
    port.discard_input()
    assert port.read_available() == b""


def test_flow_control(backend: SimBackend, clock: SimClock) -> None:
    """pyserial's flow control works: XOFF or a CTS that is off hold a write up to its timeout."""
    socket, loop = backend.port("uart0"), Loopback()
    socket.plug(loop)
    with SimSerial(socket, timeout=0.0, write_timeout=1.0, xonxoff=True) as serial:
        serial.write(b"a\x13")
        assert serial.read(9) == b"a"
        with pytest.raises(SerialTimeoutException):
            serial.write(b"b")
        assert clock.monotonic() == 1.0
        socket.inject(b"\x11c")
        serial.write(b"b")
        assert serial.read(9) == b"cb"
        serial.xonxoff = False
        serial.rtscts, serial.rts = True, False
        assert not serial.cts
        with pytest.raises(SerialTimeoutException):
            serial.write(b"d")
        serial.rts = True
        assert serial.cts
        assert serial.write(b"d") == 1
        serial.dtr = False
        assert (serial.dsr, serial.ri, serial.cd) == (False, False, False)
        serial.send_break(0)
    socket.unplug()
    with SimSerial(socket) as serial:
        assert not serial.cts


def test_pyserial_interface(backend: SimBackend) -> None:
    """The port is pyserial's: its settings, its conveniences and its errors work."""
    backend.port("uart0").plug(Echo())
    with SimSerial(backend.port("uart0"), timeout=1.0, baudrate=4800) as serial:
        serial.baudrate = 9600
        serial.write(b"one\ntwo\nthree")
        serial.flush()
        assert serial.read_until(b"\n") == b"one\n"
        assert serial.readline() == b"two\n"
        assert serial.in_waiting == 5
        assert serial.out_waiting == 0
        serial.reset_input_buffer()
        assert serial.in_waiting == 0
        serial.reset_output_buffer()
    with pytest.raises(PortNotOpenError):
        serial.read(1)


def test_flood(backend: SimBackend, clock: SimClock) -> None:
    """What nobody reads is kept up to 65,536 bytes; the rest is lost."""
    backend.port("uart0").plug(Echo())
    port = _open(backend)
    for _ in range(3):
        port.write(bytes(60_000))
        clock.advance(0.1)
    assert len(port.read_available()) == 65_536
    assert port.read_available() == b""
