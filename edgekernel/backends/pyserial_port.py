"""A serial port on a pyserial port: one adapter for real and for simulated ones.

pyserial itself is not imported here: its exceptions are OSErrors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from edgekernel.core.clock import Clock
from edgekernel.core.errors import BrokenError, BusyError, ClosedError, InvalidValueError
from edgekernel.hal.address import PortAddress
from edgekernel.hal.serial import Parity, Rs485

WRITE_TIMEOUT_S = 5.0
"""For a second's worth of bytes: what takes longer is held up for good by the far end."""

_CLOSE_LIMIT_S = 1.0
"""How long `close` waits for who reads, and for who writes: nothing cancels a flush."""

_LONGEST_DELAY_S = 0.1
"""Before and after sending on RS-485 (Linux, Documentation/driver-api/serial/serial-rs485.rst)."""

T = TypeVar("T")


class Stream(Protocol):
    """What the adapter uses of pyserial's `Serial`."""

    @property
    def timeout(self) -> float | None: ...
    @timeout.setter
    def timeout(self, seconds: float | None, /) -> None: ...
    @property
    def in_waiting(self) -> int: ...
    def read(self, size: int, /) -> bytes: ...
    def write(self, data: bytes, /) -> int | None: ...
    def flush(self) -> None: ...
    def reset_input_buffer(self) -> None: ...
    def cancel_read(self) -> None: ...
    def cancel_write(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class PortSettings:
    """How a port is opened; see `SerialPort.open`."""

    baudrate: int
    timeout_s: float
    data_bits: int = 8
    parity: Parity = Parity.NONE
    stop_bits: int = 1
    rs485: Rs485 | None = None

    @property
    def bytes_per_s(self) -> float:
        """How many bytes pass in a second at most: each has a start bit beside the others."""
        parity_bits = 0 if self.parity is Parity.NONE else 1
        return self.baudrate / (1 + self.data_bits + parity_bits + self.stop_bits)

    def problem(self) -> str:
        """Say what no port can have; empty if there is nothing."""
        if self.baudrate <= 0 or not self.timeout_s >= 0:
            return (
                f"{self.baudrate} baud with a timeout of {self.timeout_s} s; "
                "a speed is above 0 and a timeout is not below 0"
            )
        if self.data_bits not in (7, 8) or self.stop_bits not in (1, 2):
            return (
                f"{self.data_bits} data bits and {self.stop_bits} stop bits; "
                "a byte has 7 or 8 data bits and 1 or 2 stop bits"
            )
        delays = (self.rs485.delay_before_s, self.rs485.delay_after_s) if self.rs485 else ()
        if not all(0 <= delay <= _LONGEST_DELAY_S for delay in delays):
            return f"delays of {delays} s; those of RS-485 are 0 to {_LONGEST_DELAY_S} s"
        return ""


OpenStream = Callable[[PortSettings], Stream]
"""Opens the port, exclusively. Raises BoundaryError that says what to do, or ValueError for a
setting that the port cannot have."""


class PySerialPort:
    """A SerialPort on a pyserial port. One may read while another writes or closes."""

    def __init__(self, port: PortAddress, open_stream: OpenStream, clock: Clock) -> None:
        self._port = port
        self._open_stream = open_stream
        self._clock = clock
        self._stream: Stream | None = None
        self._timeout_s = 0.0
        self._portion = 1
        self._received = bytearray()  # what a search for an end has read too much
        self._reading = clock.Lock()
        self._writing = clock.Lock()

    @property
    def name(self) -> str:
        """The port as people know it, such as "uart0" or "/dev/ttyUSB0"."""
        return self._port.name

    @property
    def is_open(self) -> bool:
        """Whether it has been opened and not closed."""
        return self._stream is not None

    def open(
        self,
        baudrate: int,
        timeout_s: float,
        *,
        data_bits: int = 8,
        parity: Parity = Parity.NONE,
        stop_bits: int = 1,
        rs485: Rs485 | None = None,
    ) -> None:
        """Open at `baudrate`, with 7 or 8 data bits and 1 or 2 stop bits.

        `timeout_s` limits every later read that waits. Raises BusyError if somebody holds the
        port, BrokenError if it is not there, InvalidValueError for settings that it cannot have.
        """
        settings = PortSettings(baudrate, timeout_s, data_bits, parity, stop_bits, rs485)
        problem = settings.problem()
        if problem:
            raise InvalidValueError(f"{self._place}: {problem}")
        if self._stream is not None:
            raise BusyError(f"{self._place}: already open; close it first")
        self._timeout_s = timeout_s
        self._portion = max(1, int(settings.bytes_per_s))
        self._received.clear()
        # Those of an earlier opening may be held for good by who hangs in it.
        self._reading, self._writing = self._clock.Lock(), self._clock.Lock()
        try:
            self._stream = self._open_stream(settings)
        except ValueError as error:
            raise InvalidValueError(f"{self._place}: {baudrate} baud: {error}") from error

    def read(self, length: int) -> bytes:
        """Return `length` bytes, or fewer when the timeout comes first.

        Raises ClosedError if not open or closed meanwhile, BrokenError if the port has gone.
        """
        if length < 0:
            raise InvalidValueError(f"{self._place}: a read of {length} bytes")
        stream = self._open_port()
        with self._reading:
            missing = length - len(self._received)
            if missing > 0:
                self._received += self._wait_for(stream, missing, self._timeout_s)
            return self._take(length)

    def read_available(self) -> bytes:
        """Return what has been received so far, without waiting."""
        stream = self._open_port()
        with self._reading:
            self._received += self._attempt(stream, lambda: stream.read(stream.in_waiting))
            return self._take(len(self._received))

    def read_until(self, end: bytes, limit: int) -> bytes:
        """Return the bytes up to and with `end`, at most `limit`; without it at the timeout."""
        if not end or limit < len(end):
            raise InvalidValueError(f"{self._place}: at most {limit} bytes up to {end!r}")
        stream = self._open_port()
        until_s = self._clock.monotonic() + self._timeout_s
        with self._reading:
            while True:
                at = self._received.find(end, 0, limit)
                if at >= 0:
                    return self._take(at + len(end))
                if len(self._received) >= limit:
                    return self._take(limit)
                left_s = max(0.0, until_s - self._clock.monotonic())
                more = self._wait_for(stream, self._at_hand(stream), left_s)
                if not more:
                    return self._take(limit)
                self._received += more

    def read_frame(self, gap_s: float, limit: int) -> bytes:
        """Return the bytes up to the first silence of `gap_s`, at most `limit`; none at the
        timeout. A real port shows bytes late and in portions: an adapter on USB by up to 16 ms,
        a UART by its FIFO. A gap below that may be seen within a frame."""
        if not gap_s > 0 or limit < 1:
            raise InvalidValueError(
                f"{self._place}: a frame of at most {limit} bytes that ends with {gap_s} s of "
                "silence; both are above 0"
            )
        stream = self._open_port()
        with self._reading:
            wait_s = gap_s if self._received else self._timeout_s
            while len(self._received) < limit:
                more = self._wait_for(stream, self._at_hand(stream), wait_s)
                if not more:
                    break
                self._received += more
                wait_s = gap_s
            return self._take(limit)

    def write(self, data: bytes) -> None:
        """Send all of `data`; returns when the port has taken it, not when it has left."""
        stream = self._open_port()
        with self._writing:
            # In portions of a second each, so that one timeout suits every speed and length.
            for start in range(0, len(data), self._portion):
                portion = data[start : start + self._portion]
                self._attempt(stream, partial(stream.write, portion))

    def flush(self) -> None:
        """Wait until everything that was written has left the port."""
        stream = self._open_port()
        with self._writing:
            self._attempt(stream, stream.flush)

    def discard_input(self) -> None:
        """Lose what has been received and not been read."""
        stream = self._open_port()
        with self._reading:
            self._received.clear()
            self._attempt(stream, stream.reset_input_buffer)

    def close(self) -> None:
        """Close the port; who waits in it gets ClosedError. Closing twice is harmless.

        Who hangs in it, as in a flush to an adapter that takes no more bytes, is waited for no
        longer than a second.
        """
        stream, self._stream = self._stream, None
        if stream is None:
            return
        stream.cancel_read()
        stream.cancel_write()
        locks = (self._reading, self._writing)
        held = [lock for lock in locks if lock.acquire(timeout=_CLOSE_LIMIT_S)]
        try:
            stream.close()
        finally:
            for lock in held:
                lock.release()

    @property
    def _place(self) -> str:
        return place_of(self._port)

    def _open_port(self) -> Stream:
        if self._stream is None:
            raise ClosedError(f"{self._place}: not open; open it first")
        return self._stream

    def _take(self, length: int) -> bytes:
        taken = bytes(self._received[:length])
        del self._received[:length]
        return taken

    def _at_hand(self, stream: Stream) -> int:
        """Return how many bytes a read gets without waiting; 1 if it has to wait."""
        return max(1, self._attempt(stream, lambda: stream.in_waiting))

    def _wait_for(self, stream: Stream, length: int, timeout_s: float) -> bytes:
        def read() -> bytes:
            stream.timeout = timeout_s
            return stream.read(length)

        return self._attempt(stream, read)

    def _attempt(self, stream: Stream, attempt: Callable[[], T]) -> T:
        try:
            result = attempt()
        except OSError as error:
            if self._stream is not stream:
                raise ClosedError(f"{self._place}: closed while it was in use") from error
            raise BrokenError(
                f"{self._place}: {error}. Check the plug, then close and reopen the port"
            ) from error
        if self._stream is not stream:
            raise ClosedError(f"{self._place}: closed while it was in use")
        return result


def place_of(port: PortAddress) -> str:
    """Return a port as errors call it: its name, and its device file if that is another one."""
    return port.name if port.name == port.device else f"{port.name} ({port.device})"
