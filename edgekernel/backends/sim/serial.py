"""A simulated serial port: pyserial's class with a SerialPeer at the far end."""

from __future__ import annotations

import errno
import math
from typing import TYPE_CHECKING, Any

from serial import EIGHTBITS, PARITY_NONE, PortNotOpenError, SerialException, SerialTimeoutException
from serial.serialutil import SerialBase

from edgekernel.backends.pyserial_port import PortSettings
from edgekernel.backends.sim.port import SimPort
from edgekernel.core.clock import NANOSECONDS, EventLike
from edgekernel.core.errors import BrokenError, BusyError
from edgekernel.hal.serial import Parity

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_OUT_BUFFER = 64
"""Bytes that a write leaves to the port before it waits: one packet of a full-speed USB adapter
(USB 2.0, section 5.8.3). Matters at real speed only."""


_PARITY = {Parity.NONE: "N", Parity.EVEN: "E", Parity.ODD: "O"}  # pyserial's letters


def open_simulated(socket: SimPort, settings: PortSettings) -> SimSerial:
    """Open a port as a program does. Raises BusyError if it is taken, BrokenError if it is gone."""
    if socket.taken:
        raise BusyError(f"{socket.name}: in use: the simulated port is open already")
    if not socket.present:
        raise BrokenError(f"{socket.name}: not there: the simulated adapter is unplugged")
    return SimSerial(
        socket,
        baudrate=settings.baudrate,
        bytesize=settings.data_bits,
        parity=_PARITY[settings.parity],
        stopbits=settings.stop_bits,
        timeout=settings.timeout_s,
    )


class SimSerial(SerialBase):
    """A port with pyserial's interface whose reads wait on the clock.

    It obeys XON and XOFF and the control lines where pyserial's settings say so.
    """

    def __init__(self, socket: SimPort, *, opened: bool = True, **settings: Any) -> None:
        """Take pyserial's settings; opened at once unless told otherwise."""
        self._socket = socket
        self._cancel_read, self._cancel_write = socket.clock.Event(), socket.clock.Event()
        super().__init__(**settings)
        self.port = socket.name
        if opened:
            self.open()

    def open(self) -> None:
        """Open the port. Raises SerialException if it is taken or gone."""
        if self._socket.taken:
            raise SerialException(errno.EBUSY, f"simulated port {self.port} is open already")
        if not self._socket.present:
            raise SerialException(errno.ENOENT, f"simulated port {self.port} is gone")
        self._socket.taken = True
        self.is_open = True
        self._socket.stopped = False
        self._reconfigure_port()
        self._socket.forget_output()
        self.reset_input_buffer()

    def close(self) -> None:
        """Close the port. Closing twice is harmless."""
        if self.is_open:
            self.is_open = False
            self._socket.taken = False

    @property
    def in_waiting(self) -> int:
        """The number of bytes that a read would return at once."""
        self._check()
        return self._socket.waiting()

    @property
    def out_waiting(self) -> int:
        """The number of bytes that have not left."""
        self._check()
        return self._socket.leaving()

    @property
    def cts(self) -> bool:
        """Whether the far end is ready to receive."""
        self._check()
        return self._socket.control(bool(self.rts), bool(self.dtr))[0]

    @property
    def dsr(self) -> bool:
        """Whether the far end is there."""
        self._check()
        return self._socket.control(bool(self.rts), bool(self.dtr))[1]

    @property
    def ri(self) -> bool:
        """Never: nobody rings."""
        self._check()
        return False

    @property
    def cd(self) -> bool:
        """Never: there is no carrier."""
        self._check()
        return False

    def read(self, size: int = 1, /) -> bytes:
        """Return `size` bytes, or fewer at the timeout or when cancelled."""
        begun_ns = self._socket.clock.monotonic_ns()
        while self.in_waiting < size:
            left_s = self._left_s(begun_ns, self.timeout)
            if left_s == 0 or self._sleep(left_s, self._cancel_read):
                break
        return self._cut(self._socket.take(size))

    def write(self, b: ReadableBuffer, /) -> int:
        """Send bytes; return how many were, fewer when cancelled.

        Raises SerialTimeoutException at the write timeout.
        """
        data = self._cut(bytes(b))
        begun_ns = self._socket.clock.monotonic_ns()
        sent = 0
        while sent < len(data):
            room = self._room(len(data))
            if room > 0:
                self._socket.send(data[sent : sent + room])
                sent = min(sent + room, len(data))
                continue
            left_s = self._left_s(begun_ns, self.write_timeout)
            if left_s == 0:
                raise SerialTimeoutException("Write timeout")
            if self._sleep(left_s, self._cancel_write):
                break
        self._check()
        return sent

    def flush(self) -> None:
        """Wait until every byte has left."""
        while self.out_waiting:
            self._socket.clock.sleep(self._socket.patience_s())

    def cancel_read(self) -> None:
        """End a read that waits."""
        self._cancel_read.set()

    def cancel_write(self) -> None:
        """End a write that waits."""
        self._cancel_write.set()

    def reset_input_buffer(self) -> None:
        """Lose what has been received and not been read."""
        self._check()
        self._socket.forget_input()

    def reset_output_buffer(self) -> None:
        """Lose what was written and has not left."""
        self._check()
        self._socket.forget_output()

    def _check(self) -> None:
        if not self.is_open:
            raise PortNotOpenError
        if not self._socket.present:
            raise SerialException(errno.EIO, f"simulated port {self.port} is gone")

    def _room(self, wanted: int) -> int:
        """Return how many bytes may be sent right now."""
        if self._socket.stopped or (self.rtscts and not self.cts):
            self._socket.waiting()  # there may be an XON among what comes
            return 0
        return _OUT_BUFFER - self.out_waiting if self._socket.real_speed else wanted

    def _left_s(self, begun_ns: int, limit_s: float | None) -> float:
        """Return how much is left of a limit; 0 also below a nanosecond: the clock stands still."""
        if limit_s is None:
            return math.inf
        left_s = limit_s - (self._socket.clock.monotonic_ns() - begun_ns) / NANOSECONDS
        return left_s if left_s * NANOSECONDS >= 1 else 0.0

    def _sleep(self, left_s: float, cancel: EventLike) -> bool:
        """Wait until something may have happened; say whether it was cancelled."""
        if not self._socket.clock.sleep(min(left_s, self._socket.patience_s()), cancel):
            return False
        cancel.clear()
        return True

    def _cut(self, data: bytes) -> bytes:
        """Return what is left of bytes with as many bits as the port has."""
        if self.bytesize == EIGHTBITS:
            return data
        return bytes(byte & (1 << self.bytesize) - 1 for byte in data)

    def _update_rts_state(self) -> None:
        """Drive RTS anew; pyserial calls this, and the next two."""
        self._socket.control(bool(self.rts), bool(self.dtr))

    def _update_dtr_state(self) -> None:
        self._update_rts_state()

    def _update_break_state(self) -> None:
        """Do nothing: no far end notices a break."""

    def _reconfigure_port(self) -> None:
        """Take new settings; pyserial calls this."""
        bits = 1 + self.bytesize + (self.parity != PARITY_NONE) + self.stopbits
        self._socket.byte_ns = round(bits * NANOSECONDS / max(1, self.baudrate))
        self._socket.obeys_xoff = bool(self.xonxoff)
        if not self.xonxoff:
            self._socket.stopped = False
