"""Breakers and recovery of an I²C bus, on simulated chips and simulated time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgekernel.backends.sim import SimBackend, SimI2CBus
from edgekernel.core.errors import BrokenError, NackError, StuckError
from edgekernel.hal.health import BusState, HasHealth
from edgekernel.sim.clock import SimClock


class Chip:
    """Answers zeros."""

    def write(self, data: bytes) -> None:
        assert data

    def read(self, length: int) -> bytes:
        return bytes(length)


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock."""
    with SimClock() as made:
        yield made


@pytest.fixture
def bus(clock: SimClock) -> Iterator[SimI2CBus]:
    """An open bus with chips at 0x40 and 0x41."""
    made = SimBackend(clock).bus("i2c1")
    made.plug(0x40, Chip())
    made.plug(0x41, Chip())
    made.open()
    yield made
    made.close()


def test_counts(clock: SimClock, bus: SimI2CBus) -> None:
    """Transactions, nacks, errors and the time they take are counted apart."""
    bus.slow(0.25)
    bus.read(0x40, 1)
    with pytest.raises(NackError):
        bus.read(0x50, 1)
    bus.slow(0)
    bus.hang(0x41, times=1)
    with pytest.raises(StuckError):
        bus.read(0x41, 1)
    health = bus.health
    assert (health.transactions, health.nacks, health.errors) == (3, 1, 1)
    assert (health.recoveries, health.busy_s) == (1, 1.5)
    assert (health.state, health.reason, health.left_out) == (BusState.CLOSED, "", {})
    assert isinstance(bus, HasHealth)


def test_nacks_are_no_faults(bus: SimI2CBus) -> None:
    """However often nobody acknowledges, neither the bus nor the address is put out of use."""
    for _ in range(20):
        with pytest.raises(NackError):
            bus.read(0x50, 1)
    assert bus.health.state is BusState.CLOSED
    assert bus.health.left_out == {}
    assert bus.health.recoveries == 0


def test_a_dead_bus_fails_fast(clock: SimClock, bus: SimI2CBus) -> None:
    """While a line is held, one call in ever longer while waits for the bus; all others are told
    at once since when, how often and when next."""
    bus.stick("scl")
    with pytest.raises(StuckError, match="scl is held low"):
        bus.read(0x40, 1)
    assert clock.monotonic() == 2.0  # the transaction, and the START byte that shows it
    for n in range(200):
        with pytest.raises(BrokenError, match=r"^i2c1: out of use since 2026-01-01T00:00:02"):
            bus.read(0x40 + n % 2, 1)
        clock.advance(0.5)
    health = bus.health
    assert health.transactions == 1
    assert health.busy_s < 10  # instead of the 200 s that waiting each time takes
    assert "scl is held low" in health.reason


def test_a_dead_bus_comes_back(clock: SimClock, bus: SimI2CBus) -> None:
    """When the line is free the bus is in use again at the next attempt, for every address."""
    bus.stick("sda")
    with pytest.raises(StuckError):
        bus.read(0x40, 1)
    bus.release()
    with pytest.raises(BrokenError, match="out of use"):
        bus.read(0x40, 1)
    clock.advance(2)
    assert bus.read(0x41, 1) == bus.read(0x40, 1) == b"\x00"
    assert bus.health.state is BusState.CLOSED
    assert bus.health.recoveries == 1


def test_check_tries_it_again(clock: SimClock, bus: SimI2CBus) -> None:
    """A bus that nobody uses is tried by `check`, which raises the reason until it works."""
    bus.check()
    bus.stick("sda")
    with pytest.raises(StuckError):
        bus.read(0x40, 1)
    with pytest.raises(BrokenError, match="out of use"):
        bus.check()
    clock.advance(2)
    with pytest.raises(BrokenError, match="after 2 failures"):
        bus.check()
    bus.release()
    clock.advance(3)
    bus.check()
    assert bus.health.state is BusState.CLOSED


def test_freed_by_reopening(bus: SimI2CBus) -> None:
    """A bus that is free when it is opened anew goes on with the next transaction."""
    bus.stick("sda", until="reopened")
    with pytest.raises(StuckError):
        bus.read(0x40, 1)
    assert bus.read(0x40, 1) == b"\x00"


def test_freed_by_the_kernel(clock: SimClock, bus: SimI2CBus) -> None:
    """A kernel driver that clocks the bus free costs one failed transaction, and no more."""
    bus.kernel_clocks = True
    bus.stick("sda", until="clocks")
    with pytest.raises(StuckError):
        bus.read(0x40, 1)
    assert bus.read(0x40, 1) == b"\x00"
    assert clock.monotonic() == 1.0


def test_an_adapter_that_is_pulled_out(clock: SimClock, bus: SimI2CBus) -> None:
    """An adapter that has gone is named as the reason, and used again when it is back."""
    bus.present = False
    with pytest.raises(StuckError, match="has gone"):
        bus.read(0x40, 1)
    with pytest.raises(BrokenError, match=r"out of use .*is not there"):
        bus.read(0x40, 1)
    bus.present = True
    clock.advance(2)
    assert bus.read(0x40, 1) == b"\x00"


def test_one_bad_chip_is_left_out(clock: SimClock, bus: SimI2CBus) -> None:
    """A chip that hangs three times in a row is refused at once, with the reason, while the others
    go on; it is tried again ever more seldom, and is back when it answers."""
    bus.hang(0x41)
    for _ in range(3):
        with pytest.raises(StuckError, match=r"address 0x41: .*the chip hangs"):
            bus.read(0x41, 1)
        bus.read(0x40, 1)
    assert clock.monotonic() == 3.0
    for _ in range(120):
        with pytest.raises(BrokenError, match="address 0x41: "):
            bus.read(0x41, 1)
        bus.read(0x40, 1)
        clock.advance(1)
    assert clock.monotonic() < 3 + 120 + 10
    assert bus.health.state is BusState.CLOSED
    assert list(bus.health.left_out) == ["0x41"]
    assert bus.health.left_out["0x41"].startswith("out of use since 2026-01-01T00:00:03")
    bus.heal()
    clock.advance(75)
    assert bus.read(0x41, 1) == b"\x00"
    assert bus.health.left_out == {}


@pytest.mark.parametrize("answer", ["data", "nack"])
def test_a_chip_that_hangs_at_times_is_not_left_out(bus: SimI2CBus, answer: str) -> None:
    """An answer in between, even a refusal, shows that the chip does not hang."""
    for _ in range(5):
        bus.hang(0x41, times=2)
        for _ in range(2):
            with pytest.raises(StuckError):
                bus.read(0x41, 1)
        if answer == "nack":
            bus.refuse(0x41)
            with pytest.raises(NackError):
                bus.read(0x41, 1)
        else:
            bus.read(0x41, 1)
    assert bus.health.left_out == {}


def test_a_chip_that_takes_the_bus_along(clock: SimClock, bus: SimI2CBus) -> None:
    """A chip that leaves the bus stuck each time is left out too, so that others have the bus."""

    class Holding(Chip):
        def read(self, length: int) -> bytes:
            bus.stick("sda")
            raise StuckError("i2c1, address 0x42: it holds the line")

    bus.plug(0x42, Holding())
    refused = 0
    for _ in range(60):
        bus.release()  # as if somebody pressed a reset button once a second
        clock.advance(1)
        try:
            bus.read(0x42, 1)
        except BrokenError as error:
            refused += "address 0x42: out of use" in str(error)
    assert refused > 30


def test_scan(bus: SimI2CBus) -> None:
    """A scan names who answers; a chip that hangs does not, and a stuck bus is an error."""
    assert bus.scan() == (0x40, 0x41)
    bus.hang(0x40)
    assert bus.scan() == (0x41,)
    bus.stick("sda")
    with pytest.raises(BrokenError, match="sda is held low"):
        bus.scan()
