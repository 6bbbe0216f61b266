"""A simulated port from outside."""

from __future__ import annotations

import gc

from edgekernel.backends.sim import Loopback, SimPort, SimSerial
from edgekernel.sim.clock import SimClock


def test_answer_begins_when_the_question_has_arrived(clock: SimClock) -> None:
    """At real speed an answer is as early as on a wire, also if nobody looks meanwhile."""
    socket = SimPort("uart0", clock)
    socket.real_speed = True
    socket.plug(Loopback())
    with SimSerial(socket, baudrate=9600) as serial:
        serial.write(bytes(16))
        clock.advance(16.9 * 10 / 9600)
        assert serial.in_waiting == 15
        clock.advance(0.2 * 10 / 9600)
        assert serial.in_waiting == 16


def test_noise_takes_its_turn(clock: SimClock) -> None:
    """At real speed noise is behind what is under way already, and takes its time."""
    socket = SimPort("uart0", clock)
    socket.real_speed = True
    with SimSerial(socket, baudrate=9600, timeout=1.0) as serial:
        socket.inject(b"ab")
        socket.inject(b"c")
        assert serial.read(3) == b"abc"
        assert clock.monotonic_ns() == 3 * socket.byte_ns


def test_forgotten_port_is_free(clock: SimClock) -> None:
    """A port whose user has dropped it without closing it can be opened again."""
    socket = SimPort("uart0", clock)
    serial = SimSerial(socket)
    assert socket.taken
    del serial
    gc.collect()
    assert not socket.taken


def test_nothing_gets_through(clock: SimClock) -> None:
    """While the line loses or garbles everything, that is what comes; counted faults go on."""
    socket = SimPort("uart0", clock)
    socket.plug(Loopback())
    with SimSerial(socket, timeout=0.1) as serial:
        socket.losing = True
        serial.write(b"ab")
        assert serial.read(2) == b""
        socket.losing, socket.garbling = False, True
        serial.write(b"\x00\x01")
        assert serial.read(2) == b"\xff\xfe"
        socket.garbling = False
        socket.corrupt(1)
        serial.write(b"\x00\x01")
        assert serial.read(2) == b"\xff\x01"
