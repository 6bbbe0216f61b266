"""A shared bus: one transaction at a time, held for several, closed while it is held."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence

import pytest

from edgekernel.backends.shared_i2c import SharedI2CBus
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import ClosedError
from edgekernel.sim.clock import SimClock


class Recorder:
    """A wire that notes what reaches it, and whether anything does while it is at work."""

    def __init__(self) -> None:
        self.addresses: list[int] = []
        self.overlaps = 0
        self.is_open = False
        self._busy = threading.Lock()

    def open(self) -> None:
        self.is_open = True

    def transfer(
        self, address: int, messages: Sequence[bytes | int], ten_bit: bool
    ) -> tuple[bytes, ...]:
        if not (self.is_open and self._busy.acquire(blocking=False)):
            self.overlaps += 1
            return (b"",)
        for _ in messages:
            os.sched_yield()  # let others try
        self.addresses.append(address)
        self._busy.release()
        return tuple(bytes(each) for each in messages if isinstance(each, int))

    def read_block(self, address: int, command: int) -> bytes:
        return b"\x01" + self.transfer(address, (1,), False)[0]

    def probe(self) -> None:
        os.sched_yield()

    def close(self) -> None:
        self.is_open = False


@pytest.fixture
def wire() -> Recorder:
    """A recording wire."""
    return Recorder()


@pytest.fixture
def bus(wire: Recorder) -> Iterator[SharedI2CBus]:
    """An open bus on it, in real time."""
    made = SharedI2CBus("i2c1", wire, SystemClock())
    made.open()
    yield made
    made.close()


def run(*targets: threading.Thread) -> None:
    """Run threads to their end."""
    for each in targets:
        each.start()
    for each in targets:
        each.join()


def test_transactions_never_interleave(bus: SharedI2CBus, wire: Recorder) -> None:
    """However many threads use the bus, no transaction begins before the one before has ended."""

    def use(address: int) -> None:
        for _ in range(100):
            bus.write_read(address, b"\x00", 1)
            bus.read_block(address, 0)

    run(*(threading.Thread(target=use, args=(0x40 + n,)) for n in range(8)))
    assert wire.overlaps == 0
    assert len(wire.addresses) == bus.health.transactions == 8 * 200


def test_held(bus: SharedI2CBus, wire: Recorder) -> None:
    """Nobody comes in between while the bus is held, which may be nested; scans are held too."""

    def use(address: int) -> None:
        for _ in range(50):
            with bus.held():
                bus.read(address, 1)
                with bus.held():
                    bus.read(address, 1)
                bus.read(address, 1)

    scan = threading.Thread(target=bus.scan)
    run(scan, *(threading.Thread(target=use, args=(0x40 + n,)) for n in range(4)))
    seen = wire.addresses
    start = seen.index(0x08)
    assert seen[start : start + 0x70] == list(range(0x08, 0x78))
    rest = seen[:start] + seen[start + 0x70 :]
    assert all(len(set(rest[n : n + 3])) == 1 for n in range(0, len(rest), 3))
    assert wire.overlaps == 0


def test_close_while_held(wire: Recorder) -> None:
    """Closing waits for nobody: who holds the bus closes it when he lets go, whatever he waits
    for meanwhile."""
    with SimClock() as clock:
        bus = SharedI2CBus("i2c1", wire, clock)
        bus.open()
        closed = clock.Event()

        def hold() -> None:
            with bus.held():
                closed.wait()
                with pytest.raises(ClosedError, match="i2c1: not open"):
                    bus.read(0x40, 1)
                with bus.held():
                    closed.set()

        holder = clock.Thread(hold, "holder")
        holder.start()
        clock.advance(1)
        bus.close()
        closed.set()
        holder.join()
        assert not wire.is_open
        bus.open()
        assert wire.is_open
        bus.close()
        assert not wire.is_open


def test_closed_by_its_holder(bus: SharedI2CBus, wire: Recorder) -> None:
    """Who holds the bus may close it."""
    with bus.held():
        bus.close()
        with pytest.raises(ClosedError):
            bus.read(0x40, 1)
    assert not wire.is_open


def test_open_and_close_race(wire: Recorder) -> None:
    """Of threads that open, use and close the bus at random each finds it open until its close."""
    bus = SharedI2CBus("i2c1", wire, SystemClock())
    failures: list[BaseException] = []

    def use() -> None:
        try:
            for _ in range(100):
                bus.open()
                bus.read(0x40, 1)
                bus.close()
        except BaseException as error:
            failures.append(error)

    run(*(threading.Thread(target=use) for _ in range(6)))
    assert failures == []
    assert wire.overlaps == 0
    assert not wire.is_open
