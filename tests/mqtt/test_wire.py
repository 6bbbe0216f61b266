"""A socket that is shared with paho."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from edgekernel.mqtt.publish_packets import Packet
from edgekernel.mqtt.wire import Wire

PINGRESP = Packet(0xD0, b"", b"\xd0\0")
LARGE = bytes(range(256)) * 4000


@pytest.fixture
def ends() -> Iterator[tuple[Wire, socket.socket]]:
    """A wire, and the other end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours, theirs:
        yield Wire(ours), theirs


def drained(wire: Wire, theirs: socket.socket) -> bytes:
    """Return what arrives while all is sent."""
    arrived = b""
    while True:
        done = wire.flush()
        try:
            while data := theirs.recv(1 << 16):
                arrived += data
        except BlockingIOError:
            if done:
                return arrived


def test_all_there_is_leaves_in_one_piece() -> None:
    """Packets that wait, and one of paho after them, are one message to the network."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        wire = Wire(ours)
        wire.put(b"one")
        wire.put(b"two")
        assert wire.wants_write
        assert wire.send(b"paho") == 4
        assert not wire.wants_write
        assert theirs.recv(100) == b"onetwopaho"


def test_a_full_socket(ends: tuple[Wire, socket.socket]) -> None:
    """What does not go is sent when it does, byte by byte what was put, in its order."""
    wire, theirs = ends
    wire.put(LARGE)
    assert not wire.flush()
    wire.put(b"behind")
    assert wire.wants_write
    assert drained(wire, theirs) == LARGE + b"behind"


def test_a_packet_of_paho_counts_when_it_is_gone(ends: tuple[Wire, socket.socket]) -> None:
    """While the socket is full paho is told so; it is sent once, however often paho asks."""
    wire, theirs = ends
    wire.put(LARGE)
    for _ in range(3):
        with pytest.raises(BlockingIOError):
            wire.send(b"goodbye")
    assert drained(wire, theirs) == LARGE + b"goodbye"
    assert wire.send(b"goodbye") == 7
    assert drained(wire, theirs) == b""
    assert wire.send(b"next") == 4
    assert drained(wire, theirs) == b"next"


def test_paho_reads_what_is_left_to_it(ends: tuple[Wire, socket.socket]) -> None:
    """It gets a packet in the pieces that it asks for, and then nothing for now."""
    wire, theirs = ends
    theirs.sendall(PINGRESP.whole * 2)
    assert wire.receive() == [PINGRESP, PINGRESP]
    assert wire.receive() == []
    with pytest.raises(BlockingIOError):
        wire.recv(1)
    wire.leave(PINGRESP)
    assert (wire.recv(1), wire.recv(1)) == (b"\xd0", b"\0")
    with pytest.raises(BlockingIOError):
        wire.recv(1)
    assert not wire.is_over


def test_the_end_comes_after_the_last_packet(ends: tuple[Wire, socket.socket]) -> None:
    """When the other side has closed, paho reads that, as on any socket."""
    wire, theirs = ends
    theirs.sendall(PINGRESP.whole)
    theirs.shutdown(socket.SHUT_WR)
    assert wire.receive() == [PINGRESP]
    assert not wire.is_over
    assert wire.receive() == []
    assert wire.is_over
    assert wire.recv(1) == b""


def test_what_has_arrived_is_read_before_an_error_counts(
    ends: tuple[Wire, socket.socket],
) -> None:
    """Who cannot send any more still reads why; paho is told of the error after that."""
    wire, theirs = ends
    theirs.sendall(PINGRESP.whole)
    theirs.shutdown(socket.SHUT_RD)
    wire.put(b"lost")
    assert wire.flush()
    assert wire.is_broken
    assert not wire.wants_write
    with pytest.raises(BrokenPipeError):
        wire.send(b"paho")
    assert wire.receive() == [PINGRESP]
    assert not wire.is_over
    assert wire.receive() == []
    assert wire.is_over
    with pytest.raises(BrokenPipeError):
        wire.recv(1)


def test_an_error_in_reading_is_the_end(ends: tuple[Wire, socket.socket]) -> None:
    """A socket that is closed cannot be read, and paho is told why."""
    wire, _ = ends
    wire.close()
    assert wire.fileno() == -1
    assert wire.receive() == []
    assert wire.is_over
    with pytest.raises(OSError, match="Bad file descriptor"):
        wire.recv(1)
