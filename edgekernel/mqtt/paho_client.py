"""A client of paho-mqtt that knows its socket, and shares it: everything private to paho is here.

Where paho has another inside than the one that is known, nothing is shared, and all goes through
what paho offers to everybody.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from paho.mqtt import client as paho

from edgekernel.mqtt.wire import Wire

_HIGHEST = 65_535

MOST_UNANSWERED = 65_000
"""Messages that may wait for an acknowledgement at once, so that packet identifiers are left."""


Answered = Callable[[str], object]
"""Told the answer to a message."""


class PacketNumbers:
    """The packet identifiers of a connection that are in use. Every method is for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._in_use: dict[int, Answered | None] = {}

    def take(self, answered: Answered | None = None) -> int:
        """Return one that is free until it is given back. Raises OSError if there is none."""
        with self._lock:
            for _ in range(_HIGHEST):
                self._last = self._last % _HIGHEST + 1
                if self._last not in self._in_use:
                    self._in_use[self._last] = answered
                    return self._last
        raise OSError(f"all {_HIGHEST} packet identifiers wait for an answer of the broker")

    def give_back(self, number: int) -> Answered | None:
        """Let a number be used again; return what it was taken with, None if it was not in use."""
        return self._in_use.pop(number, None)


PRIVATE = ("_create_socket", "_mid_generate", "_packet_queue")
"""Where paho makes its sockets and its packet identifiers, and where it puts what it sends."""

_WITH_AN_END = (0x30, 0xE0)
"""PUBLISH, at QoS 0, and DISCONNECT: paho goes on when they are sent. Others are just sent."""


class Client(paho.Client):
    """A client that knows its socket: paho wraps that of a websocket, and loses it, open, if no
    websocket comes about."""

    raw: socket.socket | None = None
    wire: Wire | None = None
    """Past paho; None where there is no such way: over a websocket."""

    def __init__(self, *args: Any, **named: Any) -> None:
        self.numbers = PacketNumbers()
        self._shares = all(callable(getattr(paho.Client, name, None)) for name in PRIVATE)
        super().__init__(*args, **named)

    def _create_socket(self) -> Any:
        made = super()._create_socket()
        if self._shares and self.raw is not None and made is self.raw:
            self.wire = Wire(self.raw)
        return self.wire or made

    def _create_socket_connection(self) -> socket.socket:
        self.raw = super()._create_socket_connection()
        return self.raw

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        self.raw = wrapped = super()._ssl_wrap_socket(tcp_sock)
        return wrapped

    def _mid_generate(self) -> int:
        return self.numbers.take() if self._shares else super()._mid_generate()

    def _packet_queue(self, command: int, packet: Any, *rest: Any, **named: Any) -> Any:
        if self.wire is None or command & 0xF0 in _WITH_AN_END:
            return super()._packet_queue(command, packet, *rest, **named)
        self.wire.put(bytes(packet))  # in one order with what goes past paho
        return paho.MQTT_ERR_SUCCESS
