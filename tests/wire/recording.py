"""A recorder between clients and a broker: it passes on what they say, and keeps it as a pcap file.

It needs no rights: it is a proxy, and the addresses in the file are made up. What one read from a
socket gives is one segment in the file, so that its borders are those of what was sent at once.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.brokers import HOST, LIMIT_S

_READ = 65_536
_CLIENT, _BROKER = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
_FIRST_PORT, _MQTT_PORT = 40_000, 1883
_SYN, _ACK, _FIN, _PSH = 0x02, 0x10, 0x01, 0x08
_RAW_IP = 101
"""LINKTYPE_RAW: packets begin with the IP header. Source: tcpdump.org, link-layer header types."""


class Segment(NamedTuple):
    """What was sent at once on a connection, by the client or by the broker."""

    at_s: float
    connection: int
    by_client: bool
    data: bytes


class Recorder:
    """Listens on `port`, connects each client to the broker, and keeps what both say."""

    def __init__(self, broker_port: int) -> None:
        """Begin to listen."""
        self._broker_port = broker_port
        self._segments: list[Segment] = []
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listening = socket.create_server((HOST, 0))
        self.port: int = self._listening.getsockname()[1]
        self._begin(self._accept)

    def close(self) -> None:
        """End every connection."""
        with suppress(OSError):  # shutdown wakes who accepts; some systems refuse it
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._sockets:
            with suppress(OSError):  # the other side has ended it
                each.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(LIMIT_S)
            assert not thread.is_alive()
        for each in self._sockets:
            each.close()

    def write(self, path: Path) -> None:
        """Write what was said to a pcap file."""
        with self._lock:
            segments = list(self._segments)
        write_pcap(path, segments)

    def _accept(self) -> None:
        connection = 0
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return  # it is closed
            broker = socket.create_connection((HOST, self._broker_port), LIMIT_S)
            broker.settimeout(None)
            for each in (client, broker):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.append(each)
            self._begin(self._pass_on, client, broker, connection, True)
            self._begin(self._pass_on, broker, client, connection, False)
            connection += 1

    def _pass_on(
        self, source: socket.socket, target: socket.socket, connection: int, by_client: bool
    ) -> None:
        with suppress(OSError):  # one side has gone: the other is told below
            while data := source.recv(_READ):
                with self._lock:
                    self._segments.append(Segment(time.time(), connection, by_client, data))
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _begin(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()


def write_pcap(path: Path, segments: Iterable[Segment]) -> None:
    """Write segments to a file that every program for pcap files reads."""
    talks: dict[int, Talk] = {}
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, _RAW_IP))
        for each in segments:
            whole_s, part_s = divmod(each.at_s, 1)
            talk = talks.setdefault(each.connection, Talk(each.connection))
            for packet in talk.packets(each):
                head = (int(whole_s), int(part_s * 1e6), len(packet), len(packet))
                file.write(struct.pack("<IIII", *head) + packet)


class Talk:
    """A TCP connection of which only what was said is known: its packets are made up."""

    def __init__(self, number: int) -> None:
        self._port = _FIRST_PORT + number
        self._sent = {True: 1000, False: 2000}  # the next sequence number of client and broker
        self._begun = False

    def packets(self, segment: Segment) -> list[bytes]:
        """Return the packets of a segment; before the first one the two sides shake hands."""
        made = [] if self._begun else self._handshake()
        # IPv4 has room for 65,535 bytes with its headers.
        for begin in range(0, len(segment.data), 65_000):
            made.append(self._packet(segment.by_client, _PSH | _ACK, segment.data[begin:][:65_000]))
        return made

    def _handshake(self) -> list[bytes]:
        self._begun = True
        made = [self._packet(True, _SYN), self._packet(False, _SYN | _ACK)]
        return [*made, self._packet(True, _ACK)]

    def _packet(self, by_client: bool, flags: int, data: bytes = b"") -> bytes:
        ports = (self._port, _MQTT_PORT) if by_client else (_MQTT_PORT, self._port)
        addresses = _CLIENT + _BROKER if by_client else _BROKER + _CLIENT
        known = self._sent[not by_client] if flags & _ACK else 0
        tcp = struct.pack(
            ">HHIIBBHHH", *ports, self._sent[by_client], known, 5 << 4, flags, 0xFFFF, 0, 0
        )
        self._sent[by_client] += len(data) + bool(flags & (_SYN | _FIN))
        size = 20 + len(tcp) + len(data)
        ip = struct.pack(">BBHHHBBH", 0x45, 0, size, 0, 0, 64, 6, 0) + addresses
        return ip + tcp + data
