"""A simulated serial port: pyserial's class with a SerialPeer at the far end."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from serial import PortNotOpenError, SerialException
from serial.serialutil import SerialBase

from edgekernel.core.clock import NANOSECONDS, Clock
from edgekernel.hal.serial import SerialPeer

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

POLL_S = 0.016
"""How often a waiting read asks the far end: as coarse as a USB adapter, whose latency timer is
16 ms by default (FTDI AN232B-04)."""

_BUFFER = 65_536
"""Bytes that wait to be read; what comes on top of them is lost."""


class SimPort:
    """A simulated port from outside: the socket that a far end is plugged into."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.present = True
        """False while the adapter itself is gone, as an unplugged USB adapter is."""
        self.user: SimSerial | None = None
        """Who has the port open."""
        self._peer: SerialPeer | None = None

    def plug(self, peer: SerialPeer) -> None:
        """Connect a far end in place of the last one; what it has sent before is lost."""
        self._peer = peer
        self.receive()

    def unplug(self) -> None:
        """Take the far end away: the port is silent."""
        self._peer = None

    def open(self, baudrate: int, timeout_s: float) -> SimSerial:
        """Open the port as a program does. Raises SerialException if it is taken or gone."""
        return SimSerial(self, baudrate=baudrate, timeout=timeout_s)

    def send(self, data: bytes) -> None:
        """Carry bytes to the far end; with nobody there they are lost."""
        if self._peer is not None:
            self._peer.received(data, self.clock.monotonic())

    def receive(self) -> bytes:
        """Return what the far end has sent since the last call."""
        return b"" if self._peer is None else self._peer.due(self.clock.monotonic())


class SimSerial(SerialBase):
    """A port with pyserial's interface whose reads wait on the clock. Open once made."""

    def __init__(self, socket: SimPort, **settings: Any) -> None:
        """Take pyserial's settings; speed and framing are kept and slow nothing down."""
        self._socket = socket
        self._received = bytearray()
        self._cancel = socket.clock.Event()
        super().__init__(port=socket.name, **settings)

    def open(self) -> None:
        """Open the port. Raises SerialException if it is taken or gone."""
        if self._socket.user is not None:
            raise SerialException(errno.EBUSY, f"simulated port {self.port} is open already")
        if not self._socket.present:
            raise SerialException(errno.ENOENT, f"simulated port {self.port} is gone")
        self._socket.user = self
        self.is_open = True
        self.reset_input_buffer()

    def close(self) -> None:
        """Close the port. Closing twice is harmless."""
        if self.is_open:
            self.is_open = False
            self._socket.user = None

    @property
    def in_waiting(self) -> int:
        """The number of bytes that a read would return at once."""
        self._check()
        self._received += self._socket.receive()
        del self._received[_BUFFER:]
        return len(self._received)

    @property
    def out_waiting(self) -> int:
        """Always 0: bytes leave at once."""
        self._check()
        return 0

    def read(self, size: int = 1, /) -> bytes:
        """Return `size` bytes, or fewer at the timeout or when cancelled."""
        clock = self._socket.clock
        begun_ns = clock.monotonic_ns()
        while self.in_waiting < size:
            waited_s = (clock.monotonic_ns() - begun_ns) / NANOSECONDS
            left_s = POLL_S if self.timeout is None else self.timeout - waited_s
            # Below a nanosecond the clock would stand still.
            if left_s * NANOSECONDS < 1:
                break
            if clock.sleep(min(POLL_S, left_s), self._cancel):
                self._cancel.clear()
                break
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    def write(self, b: ReadableBuffer, /) -> int:
        """Send bytes; returns how many."""
        self._check()
        data = bytes(b)
        self._socket.send(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: bytes leave at once."""

    def cancel_read(self) -> None:
        """End a read that waits."""
        self._cancel.set()

    def cancel_write(self) -> None:
        """Do nothing: no write waits."""

    def reset_input_buffer(self) -> None:
        """Lose what has been received and not been read."""
        self._check()
        self._socket.receive()
        self._received.clear()

    def reset_output_buffer(self) -> None:
        """Do nothing: bytes leave at once."""

    def _check(self) -> None:
        if not self.is_open:
            raise PortNotOpenError
        if not self._socket.present:
            raise SerialException(errno.EIO, f"simulated port {self.port} is gone")

    def _reconfigure_port(self) -> None:
        """Take new settings: nothing depends on them. pyserial calls this."""
