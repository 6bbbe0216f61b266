"""The socket of a client of paho, with a way past paho for what is sent and received most.

paho sees a socket (`recv`, `send`, ...) on which the packets arrive that are left to it. All that
is to be sent, by paho and past it, goes out in one order, as much at once as there is; of what has
arrived at most 4,096 bytes are read at once.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable

from edgekernel.mqtt.publish_packets import Packet, PacketReader

_PIECE = 4096
"""Bytes that are read at once. What arrives in them is handled before the next is read, and with it
what the broker says to what was answered: a few dozen requests at most."""

_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire:
    """One connection. `put` is for any thread, everything else for one thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a socket that is connected."""
        self._sock = sock
        self.pending: Callable[[], int] | None = getattr(sock, "pending", None)
        """Of TLS: how many bytes it has read that nobody sees on the socket."""
        self._queued: deque[bytes] = deque()
        self._sending = bytearray()
        self._carries = False  # a packet of paho, which counts as sent when all is
        self._reader = PacketReader()
        self._for_paho = b""
        self._broken: OSError | None = None  # found by who sent; there may be more to read
        self._end: OSError | bytes | None = None

    def put(self, packet: bytes) -> None:
        """Let a packet be sent after those before it."""
        self._queued.append(packet)

    @property
    def wants_write(self) -> bool:
        """Whether there is something to send."""
        return bool(self._queued or self._sending)

    @property
    def is_broken(self) -> bool:
        """Whether what was to be sent has met an error. What has arrived is still to be read."""
        return self._broken is not None

    @property
    def is_over(self) -> bool:
        """Whether it has ended, which paho finds out when it reads."""
        return self._end is not None

    def flush(self) -> bool:
        """Send what there is; False if the socket is full before that is done."""
        while self.wants_write:
            if self._broken is not None:  # what is missing of a packet cannot be made up for
                self._sending.clear()
                self._queued.clear()
                break
            while self._queued:
                self._sending += self._queued.popleft()
            try:
                sent = self._sock.send(self._sending)
            except _NOT_NOW:
                return False
            except OSError as error:
                self._broken = error
                continue
            del self._sending[:sent]
        return True

    def receive(self) -> list[Packet]:
        """Read what has arrived; return the packets that are whole by now."""
        if self.is_over:
            return []
        try:
            data = self._sock.recv(_PIECE)
        except _NOT_NOW:
            self._end = self._broken
            return []
        except OSError as error:
            self._end = error
            return []
        if not data:
            self._end = b""
        return self._reader.read(data)

    def leave(self, packet: Packet) -> None:
        """Leave a packet to paho."""
        self._for_paho = packet.whole

    def recv(self, size: int) -> bytes:
        """Give paho what was left to it. Raises OSError for what has ended the connection."""
        data, self._for_paho = self._for_paho[:size], self._for_paho[size:]
        if data:
            return data
        if self._end is None:
            raise BlockingIOError
        if isinstance(self._end, OSError):
            raise self._end
        return self._end

    def send(self, data: bytes | bytearray) -> int:
        """Send a packet of paho, and all before it.

        Raises BlockingIOError while some of that is left, to be called again with the same.
        """
        if not self._carries:
            self._queued.append(bytes(data))
            self._carries = True
        if not self.flush():
            raise BlockingIOError
        self._carries = False
        if self._broken is not None:
            raise self._broken
        return len(data)

    def close(self) -> None:
        """Give the socket back."""
        self._sock.close()

    def fileno(self) -> int:
        """Return the number of the socket, -1 when it is closed."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        """Let sending and reading wait or not."""
        self._sock.setblocking(flag)

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """Set an option of the socket."""
        self._sock.setsockopt(level, option, value)
