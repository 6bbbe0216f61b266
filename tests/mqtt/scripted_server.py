"""A server that answers as a test says: byte by byte what a broker could say."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from tests.brokers import HOST, LIMIT_S

CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE = 1, 3, 8, 10


class Packet(NamedTuple):
    """A packet that has arrived: its type, the flags, and what follows the length."""

    kind: int
    flags: int
    body: bytes

    @property
    def level(self) -> int:
        """The protocol level of a CONNECT."""
        return self.body[6]

    @property
    def number(self) -> bytes:
        """The packet identifier of a QoS 1 PUBLISH, SUBSCRIBE or UNSUBSCRIBE."""
        if self.kind != PUBLISH:
            return self.body[:2]
        end = 2 + int.from_bytes(self.body[:2], "big")
        return self.body[end : end + 2]


Answer = Callable[[Packet], bytes | None]
"""Returns what the server says to a packet, b"" being nothing; None ends the connection."""


def connack(reason: int = 0, properties: bytes = b"", *, level: int = 5) -> bytes:
    """Return a CONNACK of MQTT 5 (section 3.2), or of 3.1.1."""
    rest = bytes([0, reason])
    if level == 5:
        rest += bytes([len(properties)]) + properties
    return bytes([0x20, len(rest)]) + rest


def disconnect(reason: int, properties: bytes = b"") -> bytes:
    """Return a DISCONNECT of MQTT 5 (section 3.14)."""
    rest = bytes([reason, len(properties)]) + properties
    return bytes([0xE0, len(rest)]) + rest


def puback(packet: Packet, reason: int = 0) -> bytes:
    """Return the answer of MQTT 5 to a PUBLISH at QoS 1 (section 3.4)."""
    return b"\x40\x03" + packet.number + bytes([reason])


class ScriptedServer:
    """Listens on a loopback port, and notes what arrives."""

    def __init__(self, answer: Answer) -> None:
        self.packets: list[Packet] = []
        self._answer = answer
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def of(self, kind: int) -> list[Packet]:
        """Return the packets of a type that have arrived."""
        return [each for each in list(self.packets) if each.kind == kind]

    def say(self, data: bytes) -> None:
        """Say something on the latest connection without being asked."""
        self._open[-1].sendall(data)

    def close(self) -> None:
        """End it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._thread.join(LIMIT_S)
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            with connection, suppress(OSError):
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while first := stream.read(1):
                length, shift = 0, 0
                while True:
                    (digit,) = stream.read(1)
                    length |= (digit & 127) << shift
                    shift += 7
                    if not digit & 128:
                        break
                packet = Packet(first[0] >> 4, first[0] & 15, stream.read(length))
                self.packets.append(packet)
                said = self._answer(packet)
                if said is None:
                    return
                connection.sendall(said)


@contextmanager
def scripted(answer: Answer) -> Iterator[ScriptedServer]:
    """Run a server until the end."""
    server = ScriptedServer(answer)
    try:
        yield server
    finally:
        server.close()
