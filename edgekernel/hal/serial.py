"""Serial ports, and the far end of the line for simulation. Speeds are in baud."""

from __future__ import annotations

from typing import Protocol


class SerialPort(Protocol):
    """A byte stream both ways. Made closed; speed and framing are the port's own settings."""

    @property
    def name(self) -> str:
        """The port as people know it, such as "uart0" or "/dev/ttyUSB0"."""
        ...

    def open(self, baudrate: int, timeout_s: float) -> None:
        """Open at `baudrate`, 8 data bits, no parity, 1 stop bit.

        `timeout_s` limits every later read that waits. Raises BusyError if another process holds
        the port, BrokenError if it is not there.
        """
        ...

    def read(self, length: int) -> bytes:
        """Return `length` bytes, or fewer when the timeout comes first.

        Raises ClosedError if not open, BrokenError if the port has gone.
        """
        ...

    def read_available(self) -> bytes:
        """Return what has been received so far, without waiting."""
        ...

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        ...

    def close(self) -> None:
        """Close the port. Closing twice is harmless."""
        ...


class SerialPeer(Protocol):
    """The far end of a line: how a simulated serial device is written."""

    def received(self, data: bytes, now_s: float) -> None:
        """Take the bytes that the port has sent; `now_s` is the monotonic time in seconds."""
        ...

    def due(self, now_s: float) -> bytes:
        """Return the bytes sent since the last call, up to the monotonic time `now_s`."""
        ...
