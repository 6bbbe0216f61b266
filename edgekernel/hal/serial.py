"""Serial ports, and the far end of the line for simulation. Speeds are in baud."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Parity(StrEnum):
    """The bit that makes the number of ones even or odd."""

    NONE = "none"
    EVEN = "even"
    ODD = "odd"


@dataclass(frozen=True, slots=True)
class Rs485:
    """A half-duplex line whose driver is enabled by RTS while the port sends.

    The delays are in seconds, at most 0.1, before the first and after the last bit (Linux,
    Documentation/driver-api/serial/serial-rs485.rst).
    """

    rts_on_send: bool = True
    """Whether RTS is active while sending; False for adapters wired the other way."""
    delay_before_s: float = 0.0
    delay_after_s: float = 0.0


class SerialPort(Protocol):
    """A byte stream both ways. Made closed; speed and framing are the port's own settings."""

    @property
    def name(self) -> str:
        """The port as people know it, such as "uart0" or "/dev/ttyUSB0"."""
        ...

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

        `timeout_s` limits every later read that waits. Raises BusyError if another process holds
        the port, BrokenError if it is not there, InvalidValueError for settings that it cannot
        have.
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

    def read_until(self, end: bytes, limit: int) -> bytes:
        """Return the bytes up to and with `end` (such as a line end), at most `limit`.

        Fewer, without `end`, when the timeout comes first: they are not lost.
        """
        ...

    def read_frame(self, gap_s: float, limit: int) -> bytes:
        """Return the bytes up to the first silence of `gap_s`, at most `limit`; none at the
        timeout. For protocols framed by silence, such as Modbus RTU."""
        ...

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        ...

    def flush(self) -> None:
        """Wait until everything that was written has left the port."""
        ...

    def discard_input(self) -> None:
        """Lose what has been received and not been read."""
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
