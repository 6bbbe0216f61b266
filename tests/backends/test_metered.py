"""The meter at the boundary: what a call costs on the wire, to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import cast

import pytest

from edgekernel.backends.backend import Backend
from edgekernel.backends.metered import Meter, MeteredBackend
from edgekernel.core.errors import NackError
from edgekernel.hal.address import (
    BusAddress,
    LineAddress,
    OneWireAddress,
    PortAddress,
    PwmAddress,
    SpiAddress,
)
from edgekernel.sim import SimClock

I2C1 = BusAddress("i2c1", "/dev/i2c-1")


class Wires:
    """A backend, bus, chip select and 1-Wire bus at once, that only notes what it is asked."""

    name = "wires"

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> object:
        def note(*args: object, **named: object) -> object:
            self.calls.append(name)
            return ANSWERS.get(name, self)

        return note

    def held(self) -> AbstractContextManager[None]:
        """Hold nothing."""
        return nullcontext()


ANSWERS: dict[str, object] = {
    "read": b"12",
    "write_read": b"12",
    "transfer": (b"12",),
    "read_block": b"1234",
    "scan": (0x20, 0x76),
    "search": ("28-000000000001", "28-000000000002"),
    "measure": bytes(9),
}


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def meter(clock: SimClock) -> Meter:
    """A meter of what this test spends."""
    return Meter(clock)


@pytest.fixture
def wires() -> Wires:
    """What is behind the meter."""
    return Wires()


@pytest.fixture
def metered(wires: Wires, meter: Meter) -> MeteredBackend:
    """The metered backend, with every I²C bus at 100 kHz."""
    return MeteredBackend(cast(Backend, wires), meter, lambda name: 100_000)


@pytest.mark.parametrize(
    ("call", "args", "bits"),
    [
        # Start and stop have a bit each, an address and a byte 9 (UM10204, section 3.1).
        ("write", (0x76, b"123"), 1 + 9 + 3 * 9 + 1),
        ("read", (0x76, 2), 1 + 9 + 2 * 9 + 1),
        ("write_read", (0x76, b"1", 2), (1 + 9 + 9) + (1 + 9 + 18) + 1),
        ("transfer", (0x76, b"1", 2, b"1"), (1 + 9 + 9) + (1 + 9 + 18) + (1 + 9 + 9) + 1),
        ("read_block", (0x76, 1), (1 + 9 + 9) + (1 + 9 + 9 + 4 * 9) + 1),
        ("write_block", (0x76, 1, b"123"), 1 + 9 + 9 + 9 + 3 * 9 + 1),
        ("scan", (), 112 * (1 + 9 + 1) + 2 * 9),
    ],
)
def test_i2c(
    metered: MeteredBackend,
    meter: Meter,
    wires: Wires,
    call: str,
    args: tuple[object, ...],
    bits: int,
) -> None:
    """Each call is handed on, and costs its bits at the clock of the bus."""
    bus = metered.i2c_bus(I2C1)
    answer = getattr(bus, call)(*args)
    assert answer == ANSWERS.get(call, answer)
    assert wires.calls == ["i2c_bus", call]
    assert meter.take() == pytest.approx(bits / 100_000)
    assert meter.take() == 0


def test_ten_bit_address(metered: MeteredBackend, meter: Meter) -> None:
    """A 10-bit address has a second byte."""
    metered.i2c_bus(I2C1).transfer(0x276, b"1", ten_bit=True)
    assert meter.take() == pytest.approx((1 + 9 + 9 + 9 + 1) / 100_000)


def test_refused_transfer_costs_too(meter: Meter, wires: Wires) -> None:
    """A transfer that nobody acknowledges has been on the wire all the same."""

    class Deaf(Wires):
        def write(self, address: int, data: bytes) -> None:
            raise NackError("nobody")

    deaf = cast(Backend, Deaf())
    bus = MeteredBackend(deaf, meter, lambda name: 100_000).i2c_bus(I2C1)
    with pytest.raises(NackError):
        bus.write(0x76, b"1")
    assert meter.take() > 0


def test_one_bus_for_all(metered: MeteredBackend) -> None:
    """Every device on a bus gets the same one, each chip select is its own."""
    w1, spi = OneWireAddress("w1"), SpiAddress("spi0.0", "/dev/spidev0.0")
    assert metered.i2c_bus(I2C1) is metered.i2c_bus(I2C1)
    assert metered.onewire_bus(w1) is metered.onewire_bus(w1)
    assert metered.spi_device(spi) is not metered.spi_device(spi)


def test_spi(metered: MeteredBackend, meter: Meter) -> None:
    """SPI has 8 bits a byte, at the clock that the driver opened it with."""
    device = metered.spi_device(SpiAddress("spi0.0", "/dev/spidev0.0"))
    device.open(1_000_000, mode=3)
    device.transfer(bytes(3))
    assert meter.take() == pytest.approx(24 / 1_000_000)


def test_onewire(metered: MeteredBackend, meter: Meter) -> None:
    """A measurement is 2 resets and 29 bytes of 70 µs slots, beside the conversion itself."""
    bus = metered.onewire_bus(OneWireAddress("w1"))
    assert bus.measure("28-000000000001") == bytes(9)
    assert meter.take() == pytest.approx(2 * 960e-6 + 29 * 8 * 70e-6)
    assert len(bus.search()) == 2
    assert meter.take() == pytest.approx(2 * (960e-6 + (8 + 192) * 70e-6))


def test_flows_are_kept_apart(clock: SimClock, metered: MeteredBackend, meter: Meter) -> None:
    """What one flow of control spends is not told to another one."""
    bus = metered.i2c_bus(I2C1)
    found: list[float] = []

    def other() -> None:
        bus.write(0x76, b"12345")
        clock.sleep(1)
        found.append(meter.take())

    thread = clock.Thread(other, "other")
    thread.start()
    clock.sleep(0.5)
    bus.write(0x76, b"1")
    assert meter.take() == pytest.approx(20 / 100_000)
    thread.join()
    assert found == [pytest.approx(56 / 100_000)]


def test_the_rest_costs_nothing(metered: MeteredBackend, meter: Meter, wires: Wires) -> None:
    """What lines and ports are asked is handed on, not metered; the backend is closed with it."""
    line = LineAddress("GPIO17", "chip0", 17)
    metered.digital_output(line).write(True)
    metered.digital_input(line).read()
    metered.serial_port(PortAddress("uart0", "/dev/serial0")).write(b"1")
    metered.pwm_output(PwmAddress(line)).write(0.5)
    assert meter.take() == 0
    metered.close()
    asked = [call for call in wires.calls if "_" not in call]
    assert asked == ["write", "read", "write", "write", "close"]
