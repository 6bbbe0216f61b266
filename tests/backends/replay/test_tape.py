"""Tape: what was asked is answered as it was, with its error and in its time."""

from __future__ import annotations

import pytest

from edgekernel.backends.replay import Tape
from edgekernel.core.errors import BrokenError, NackError
from edgekernel.sim import SimClock
from tests.backends.replay.calls import I2C, SECOND, call, tape


def read(tape: Tape, address: int = 0x76) -> object:
    """Read a byte."""
    return tape.ask(*I2C, "read", (address, 1), {})


def test_errors(clock: SimClock) -> None:
    """What was raised is raised again, by its class if that is one of ours, else as BrokenError."""
    made = tape(
        clock,
        call(I2C, 0, "read", 0x76, 1, gives=NackError("nobody")),
        call(I2C, 0, "read", 0x76, 1, gives=ZeroDivisionError("oh")),
    )
    with pytest.raises(NackError, match=r"^nobody$"):
        read(made)
    with pytest.raises(BrokenError, match=r"^ZeroDivisionError: oh$"):
        read(made)


def test_a_read_after_a_write(clock: SimClock) -> None:
    """A read without a register is told from others by what was written before."""
    made = tape(
        clock,
        call(I2C, 0, "write", 0x76, b"\x01"),
        call(I2C, 0, "read", 0x76, 1, gives=b"a"),
        call(I2C, 0, "write", 0x76, b"\x02"),
        call(I2C, 0, "read", 0x76, 1, gives=b"b"),
    )
    made.ask(*I2C, "write", (0x76, b"\x02"), {})
    assert read(made) == b"b"
    made.ask(*I2C, "write", (0x76, b"\x01"), {})
    assert read(made) == b"a"


def test_never_recorded(clock: SimClock) -> None:
    """A read that nobody made fails and is noted with its time; a write is taken."""
    made = tape(clock, call(I2C, 0, "read", 0x76, 1, gives=b"a"))
    clock.advance(2)
    with pytest.raises(BrokenError, match=r"i2c1: read\(119, 1\) was never recorded"):
        read(made, 0x77)
    made.ask(*I2C, "write", (0x77, b"\x01"), {})
    (noted,) = made.unrecorded
    assert (noted.name, noted.op, noted.args) == ("i2c1", "read", (0x77, 1))
    assert noted.monotonic_ns == 2 * SECOND


def test_a_dead_chip_stays_dead(clock: SimClock) -> None:
    """A chip that answered nobody at a time answers no other question then, and none is noted."""
    made = tape(clock, call(I2C, 0, "read", 0x76, 1, gives=NackError("nobody")))
    for op, args in (("write", (0x76, b"\x09")), ("write_read", (0x76, b"\x09", 2))):
        with pytest.raises(NackError):
            made.ask(*I2C, op, args, {})
    assert made.unrecorded == []


def test_an_old_failure(clock: SimClock) -> None:
    """Who asks again after a failure of long ago has the latest good answer, if the chip has
    answered others since; if it has not, it does not answer."""
    made = tape(
        clock,
        call(I2C, 1, "read", 0x76, 1, gives=b"a"),
        call(I2C, 2, "read", 0x76, 1, gives=NackError("nobody")),
        call(I2C, 9, "write", 0x76, b"\x01"),
    )
    clock.advance(1)
    assert read(made) == b"a"
    clock.advance(1)
    for _ in range(2):
        with pytest.raises(NackError):
            read(made)
        clock.advance(1)
    clock.advance(6)
    assert read(made) == b"a"


def test_time(clock: SimClock) -> None:
    """A call takes as long as it took; an answer that is repeated takes no time."""
    made = tape(clock, call(I2C, 0.3, "read", 0x76, 1, gives=b"a", took_s=0.3))
    assert read(made) == b"a"
    assert clock.monotonic_ns() == 0.3 * SECOND
    read(made)
    assert clock.monotonic_ns() == 0.3 * SECOND
    assert made.repeated == 1


def test_boot_keeps_its_pace(clock: SimClock) -> None:
    """During the boot an answer comes when it came, however early it is asked for."""
    made = tape(clock, call(I2C, 0.2, "read", 0x76, 1, gives=b"a"), booted_s=1)
    read(made)
    assert clock.monotonic_ns() == 0.2 * SECOND


def test_the_end_of_a_thread_is_no_answer(clock: SimClock) -> None:
    """A call that ended because its thread did is none."""
    made = tape(
        clock,
        call(I2C, 0, "read", 0x76, 1, gives=b"a"),
        call(I2C, 0.1, "read", 0x76, 1, gives=type("GreenletExit", (Exception,), {})()),
    )
    assert (read(made), read(made)) == (b"a", b"a")
