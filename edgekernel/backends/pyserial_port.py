"""A serial port on a pyserial port: one adapter for real and for simulated ones.

pyserial itself is not imported here: its exceptions are OSErrors.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from edgekernel.core.clock import Clock
from edgekernel.core.errors import (
    BoundaryError,
    BrokenError,
    BusyError,
    ClosedError,
    InvalidValueError,
)
from edgekernel.hal.address import PortAddress

WRITE_TIMEOUT_S = 5.0
"""For a second's worth of bytes: what takes longer is held up for good by the far end."""

_BITS_PER_BYTE = 10
"""A start bit, 8 data bits and a stop bit."""

T = TypeVar("T")


class Stream(Protocol):
    """What the adapter uses of pyserial's `Serial`."""

    @property
    def in_waiting(self) -> int: ...
    def read(self, size: int, /) -> bytes: ...
    def write(self, data: bytes, /) -> int | None: ...
    def cancel_read(self) -> None: ...
    def cancel_write(self) -> None: ...
    def close(self) -> None: ...


OpenStream = Callable[[int, float], Stream]
"""Opens the port at (baudrate, timeout_s), exclusively. Raises OSError, ValueError."""


class PySerialPort:
    """A SerialPort on a pyserial port. One may read while another writes or closes."""

    def __init__(self, port: PortAddress, open_stream: OpenStream, clock: Clock) -> None:
        self._port = port
        self._open_stream = open_stream
        self._stream: Stream | None = None
        self._chunk = 1
        self._reading = clock.Lock()
        self._writing = clock.Lock()

    @property
    def name(self) -> str:
        """The port as people know it, such as "uart0" or "/dev/ttyUSB0"."""
        return self._port.name

    def open(self, baudrate: int, timeout_s: float) -> None:
        """Open at `baudrate` (above 0), 8N1; `timeout_s` (0 or more) limits every later read.

        Raises BusyError if somebody holds the port, BrokenError if it is not there.
        """
        if baudrate <= 0 or not timeout_s >= 0:
            raise InvalidValueError(
                f"{self._place}: {baudrate} baud with a timeout of {timeout_s} s; "
                "a speed is above 0 and a timeout is not below 0"
            )
        if self._stream is not None:
            raise BusyError(f"{self._place}: already open; close it first")
        self._chunk = max(1, baudrate // _BITS_PER_BYTE)
        try:
            self._stream = self._open_stream(baudrate, timeout_s)
        except OSError as error:
            raise self._refusal(error) from error
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
            return self._attempt(stream, partial(stream.read, length))

    def read_available(self) -> bytes:
        """Return what has been received so far, without waiting."""
        stream = self._open_port()
        with self._reading:
            return self._attempt(stream, lambda: stream.read(stream.in_waiting))

    def write(self, data: bytes) -> None:
        """Send all of `data`; returns when the port has taken it, not when it has left."""
        stream = self._open_port()
        with self._writing:
            # In portions of a second each, so that one timeout suits every speed and length.
            for start in range(0, len(data), self._chunk):
                portion = data[start : start + self._chunk]
                self._attempt(stream, partial(stream.write, portion))

    def close(self) -> None:
        """Close the port; who waits in it gets ClosedError. Closing twice is harmless."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel_read()
            stream.cancel_write()
            with self._reading, self._writing:
                stream.close()

    @property
    def _place(self) -> str:
        name, device = self._port.name, self._port.device
        return name if name == device else f"{name} ({device})"

    def _open_port(self) -> Stream:
        if self._stream is None:
            raise ClosedError(f"{self._place}: not open; open it first")
        return self._stream

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

    def _refusal(self, error: OSError) -> BoundaryError:
        match error.errno:
            case errno.EBUSY | errno.EAGAIN:
                return BusyError(
                    f"{self._place}: in use by another process; "
                    f"`fuser {self._port.device}` names it"
                )
            case errno.ENOENT | errno.ENODEV | errno.ENXIO:
                return BrokenError(
                    f"{self._place}: not there. Plug it in, or enable it "
                    "(on a Raspberry Pi enable_uart=1 in config.txt)"
                )
            case errno.EACCES | errno.EPERM:
                return BrokenError(
                    f"{self._place}: no permission. Add the user to the group dialout "
                    "(sudo usermod -aG dialout $USER) and log in again"
                )
            case _:
                return BrokenError(f"{self._place}: cannot be opened: {error}")
