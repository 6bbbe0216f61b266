"""ObservedBackend: an observer sees every call, and the boundaries behave as they do without."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

import pytest

from edgekernel.backends.backend import Backend
from edgekernel.backends.observed import (
    ObservedBackend,
    ObservedI2C,
    ObservedI2CWithHealth,
    ObservedInput,
    ObservedOneWire,
    ObservedOutput,
    ObservedPwm,
    ObservedSerial,
    ObservedSpi,
)
from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import NackError
from edgekernel.hal import (
    BrokenError,
    BusHealth,
    BusState,
    DigitalInput,
    DigitalOutput,
    Edge,
    HasHealth,
    I2CBus,
    OneWireBus,
    Pull,
    PwmOutput,
    SerialPort,
    SpiDevice,
)
from edgekernel.hal.address import (
    BusAddress,
    LineAddress,
    OneWireAddress,
    PortAddress,
    PwmAddress,
    SpiAddress,
)
from edgekernel.sim import SimClock

LINE = LineAddress("GPIO17", "gpiochip0", 17)
BUS = BusAddress("i2c1", "/dev/i2c-1")
PORT = PortAddress("uart0", "/dev/ttyS0")
R = TypeVar("R")


class Chip:
    """A chip that answers what was written last."""

    def __init__(self) -> None:
        self.last = b""

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.last = data

    def read(self, length: int) -> bytes:
        """Return it."""
        return self.last.ljust(length, b".")[:length]


class Watching:
    """An observer that keeps what it sees."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def call(
        self,
        kind: str,
        name: str,
        op: str,
        args: tuple[Any, ...],
        options: Mapping[str, Any],
        make: Callable[[], R],
    ) -> R:
        """Keep the call and its result, or the class of its error if that is a broken bus."""
        try:
            made = make()
        except BrokenError as error:
            if type(error) is BrokenError:
                self.seen.append((kind, name, op, args, BrokenError))
            raise
        self.seen.append((kind, name, op, args, made))
        return made

    def edge(self, line: str, edge: Edge) -> None:
        """Keep the edge."""
        self.seen.append((line, edge.level))


@pytest.fixture
def board() -> Iterator[SimBackend]:
    """A simulated board."""
    with SimClock() as clock:
        backend = SimBackend(clock)
        yield backend
        backend.close()


def observed(board: SimBackend) -> tuple[Backend, Watching]:
    """Return the observed backend and its observer."""
    watching = Watching()
    return ObservedBackend(board, watching), watching


@pytest.mark.parametrize(
    ("protocol", "made"),
    [
        (DigitalOutput, ObservedOutput),
        (DigitalInput, ObservedInput),
        (I2CBus, ObservedI2C),
        (SerialPort, ObservedSerial),
        (PwmOutput, ObservedPwm),
        (SpiDevice, ObservedSpi),
        (OneWireBus, ObservedOneWire),
        (HasHealth, ObservedI2CWithHealth),
    ],
)
def test_nothing_is_forgotten(protocol: type, made: type) -> None:
    """An observed boundary has each method of its protocol, with the same parameters."""
    for name, method in vars(protocol).items():
        if not name.startswith("_") and inspect.isfunction(method):
            ours = inspect.signature(getattr(made, name))
            assert list(ours.parameters) == list(inspect.signature(method).parameters), name


def test_output(board: SimBackend) -> None:
    """An output drives its line, and each call is seen."""
    backend, watching = observed(board)
    line = backend.digital_output(LINE)
    line.open(True)
    line.write(False)
    assert line.read() is False
    line.close()
    assert board.line("GPIO17").levels == (True, False)
    assert watching.seen == [
        ("output", "GPIO17", "open", (True,), None),
        ("output", "GPIO17", "write", (False,), None),
        ("output", "GPIO17", "read", (), False),
        ("output", "GPIO17", "close", (), None),
    ]


def test_input(board: SimBackend) -> None:
    """An edge is seen before the driver is told of it, and only if it wants to be."""
    backend, watching = observed(board)
    told: list[int] = []
    line = backend.digital_input(LINE)
    line.open(Pull.UP, lambda edge: told.append(len(watching.seen)))
    board.line("GPIO17").drive(False)
    line.close()
    line.open(Pull.UP)
    board.line("GPIO17").drive(True)
    line.close()
    assert told == [2]
    assert watching.seen == [
        ("input", "GPIO17", "open", ("up", True), None),
        ("GPIO17", False),
        ("input", "GPIO17", "close", (), None),
        ("input", "GPIO17", "open", ("up", False), None),
        ("input", "GPIO17", "close", (), None),
    ]


def test_i2c(board: SimBackend) -> None:
    """A bus is one object for all of its devices; its transactions go through as they are."""
    backend, watching = observed(board)
    bus = backend.i2c_bus(BUS)
    assert backend.i2c_bus(BUS) is bus
    assert bus.name == "i2c1"
    board.bus("i2c1").plug(0x76, Chip())
    bus.open()
    bus.write(0x76, b"ab")
    assert bus.read(0x76, 2) == b"ab"
    assert bus.write_read(0x76, b"c", 2) == b"c."
    with pytest.raises(NackError):
        bus.read(0x20, 1)
    bus.close()
    assert [seen[2:] for seen in watching.seen] == [
        ("open", (), None),
        ("write", (0x76, b"ab"), None),
        ("read", (0x76, 2), b"ab"),
        ("write_read", (0x76, b"c", 2), b"c."),
        ("close", (), None),
    ]


def test_serial(board: SimBackend) -> None:
    """A port sends and receives as without an observer."""
    backend, watching = observed(board)
    port = backend.serial_port(PORT)
    port.open(9600, 0.1)
    port.write(b"hello")
    assert port.read(1) == b""
    assert port.read_available() == b""
    port.close()
    assert [seen[2] for seen in watching.seen] == [
        "open",
        "write",
        "read",
        "read_available",
        "close",
    ]


def test_pwm(board: SimBackend) -> None:
    """Pulses go through, and whether hardware makes them is told as it is."""
    backend, watching = observed(board)
    line = backend.pwm_output(PwmAddress(LINE), software=True)
    line.open(100.0, 0.25)
    line.write(0.5)
    assert line.hardware is False
    line.close()
    assert [seen[:4] for seen in watching.seen] == [
        ("pwm", "GPIO17", "open", (100.0, 0.25)),
        ("pwm", "GPIO17", "write", (0.5,)),
        ("pwm", "GPIO17", "close", ()),
    ]


class Shift:
    """An SPI chip that answers each byte with the next one."""

    def transfer(self, data: bytes) -> bytes:
        """Answer."""
        return bytes(each + 1 for each in data)


def test_spi(board: SimBackend) -> None:
    """A chip select sends and receives as without an observer."""
    backend, watching = observed(board)
    board.spi("spi0.0").plug(Shift())
    device = backend.spi_device(SpiAddress("spi0.0", ""))
    device.open(1_000_000, mode=3)
    assert device.transfer(b"ab") == b"bc"
    device.close()
    assert watching.seen[1] == ("spi", "spi0.0", "transfer", (b"ab",), b"bc")


def test_onewire(board: SimBackend) -> None:
    """A 1-Wire bus is one object for all of its devices, and its searches are seen."""
    backend, watching = observed(board)
    bus = backend.onewire_bus(OneWireAddress("w1"))
    assert backend.onewire_bus(OneWireAddress("w1")) is bus
    bus.open()
    assert bus.search() == ()
    bus.close()
    assert [seen[:3] for seen in watching.seen] == [
        ("onewire", "w1", "open"), ("onewire", "w1", "search"), ("onewire", "w1", "close"),
    ]  # fmt: skip


class Counting:
    """A bus that tells how it is."""

    name = "i2c1"
    health = BusHealth()
    works = True

    def check(self) -> None:
        """Say whether it works."""
        if not self.works:
            raise BrokenError("i2c1: out of use")


def test_health() -> None:
    """How a bus is, is seen when it has changed, and trying it again when that fails."""
    inner, watching = Counting(), Watching()
    bus = ObservedI2CWithHealth(cast("I2CBus", inner), watching)
    assert isinstance(bus, HasHealth)
    inner.health = BusHealth(transactions=5, busy_s=0.1)
    bus.check()
    assert bus.health is inner.health
    assert watching.seen == []
    inner.health = BusHealth(BusState.OPEN, "stuck", errors=3)
    inner.works = False
    for _ in range(2):
        assert bus.health is inner.health
    with pytest.raises(BrokenError, match="out of use"):
        bus.check()
    assert watching.seen == [
        ("i2c", "i2c1", "health", (), inner.health),
        ("i2c", "i2c1", "check", (), BrokenError),
    ]


def test_bus_of_the_board_has_health(board: SimBackend) -> None:
    """An observed bus has health if the bus has it."""
    backend, _ = observed(board)
    assert isinstance(backend.i2c_bus(BUS), HasHealth)
    assert not isinstance(ObservedI2C(board.bus("i2c1"), Watching()), HasHealth)


def test_close(board: SimBackend) -> None:
    """Closing it closes the backend that it is around."""
    backend, _ = observed(board)
    line = backend.digital_output(LINE)
    line.open(True)
    backend.close()
    with pytest.raises(OSError, match="not open"):
        line.read()
