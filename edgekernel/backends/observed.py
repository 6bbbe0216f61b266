"""A backend around another one whose boundaries let an observer see every call.

The observer makes the call itself, so that it can look at the time, the result and the error, or
do something before. What it does not touch goes through as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from edgekernel.backends.backend import Backend
from edgekernel.backends.recovery import Recoverable, Recovery
from edgekernel.core.errors import BrokenError
from edgekernel.hal.address import (
    BusAddress,
    LineAddress,
    OneWireAddress,
    PortAddress,
    PwmAddress,
    SpiAddress,
)
from edgekernel.hal.gpio import DigitalInput, DigitalOutput, Edge, Pull, PwmOutput
from edgekernel.hal.health import BusHealth, HasHealth
from edgekernel.hal.i2c import I2CBus
from edgekernel.hal.onewire import OneWireBus
from edgekernel.hal.serial import Parity, Rs485, SerialPort
from edgekernel.hal.spi import SpiDevice

P = ParamSpec("P")
R = TypeVar("R")


class Boundary(Protocol):
    """What all boundaries have."""

    @property
    def name(self) -> str:
        """The boundary as people know it."""
        ...

    def close(self) -> None:
        """Give it back."""
        ...


B = TypeVar("B", bound=Boundary)


class Observer(Protocol):
    """Who sees the calls.

    `kind` is that of the boundary: output, input, pwm, i2c, serial, spi or onewire.
    """

    def call(
        self,
        kind: str,
        name: str,
        op: str,
        args: tuple[Any, ...],
        options: Mapping[str, Any],
        make: Callable[[], R],
    ) -> R:
        """Make the call, which is the method `op` with `args` and `options`; return its result."""
        ...

    def edge(self, line: str, edge: Edge) -> None:
        """See an edge that is about to be told to a driver."""
        ...


class ObservedBackend:
    """A Backend whose boundaries are those of another one, observed."""

    def __init__(self, backend: Backend, observer: Observer) -> None:
        self._backend = backend
        self._observer = observer
        self._buses: dict[str, ObservedI2C] = {}
        self._onewires: dict[str, ObservedOneWire] = {}

    def digital_output(self, line: LineAddress) -> DigitalOutput:
        """Return a closed output on a line."""
        return ObservedOutput(self._backend.digital_output(line), self._observer)

    def digital_input(self, line: LineAddress) -> DigitalInput:
        """Return a closed input on a line."""
        return ObservedInput(self._backend.digital_input(line), self._observer)

    def pwm_output(self, address: PwmAddress, *, software: bool = False) -> PwmOutput:
        """Return a closed output for pulses."""
        return ObservedPwm(self._backend.pwm_output(address, software=software), self._observer)

    def i2c_bus(self, bus: BusAddress) -> I2CBus:
        """Return the bus; the same object for every device on it."""
        if bus.name not in self._buses:
            inner = self._backend.i2c_bus(bus)
            kind = ObservedI2CWithHealth if isinstance(inner, HasHealth) else ObservedI2C
            self._buses[bus.name] = kind(inner, self._observer)
        return self._buses[bus.name]

    def serial_port(self, port: PortAddress) -> SerialPort:
        """Return a closed port."""
        return ObservedSerial(self._backend.serial_port(port), self._observer)

    def spi_device(self, address: SpiAddress) -> SpiDevice:
        """Return a closed chip select."""
        return ObservedSpi(self._backend.spi_device(address), self._observer)

    def onewire_bus(self, bus: OneWireAddress) -> OneWireBus:
        """Return the bus; the same object for every device on it."""
        if bus.name not in self._onewires:
            self._onewires[bus.name] = ObservedOneWire(
                self._backend.onewire_bus(bus), self._observer
            )
        return self._onewires[bus.name]

    def close(self) -> None:
        """Give back what is still open."""
        self._backend.close()


class _Observed(Generic[B]):
    """A boundary around another one."""

    kind = ""

    def __init__(self, inner: B, observer: Observer) -> None:
        self._inner = inner
        self._observer = observer

    @property
    def name(self) -> str:
        """The boundary as people know it."""
        return self._inner.name

    def _call(self, op: str, method: Callable[P, R], *args: P.args, **options: P.kwargs) -> R:
        make = partial(method, *args, **options)
        return self._observer.call(self.kind, self._inner.name, op, args, options, make)

    def close(self) -> None:
        """Give it back."""
        self._call("close", self._inner.close)


class ObservedOutput(_Observed[DigitalOutput]):
    """A DigitalOutput."""

    kind = "output"

    def open(self, level: bool | None) -> None:
        """Claim the line and drive `level`, or keep the one it has."""
        self._call("open", self._inner.open, level)

    def write(self, level: bool) -> None:
        """Drive `level`."""
        self._call("write", self._inner.write, level)

    def read(self) -> bool:
        """Return the level that the pin really has."""
        return self._call("read", self._inner.read)


class ObservedInput(_Observed[DigitalInput]):
    """A DigitalInput, edges included."""

    kind = "input"

    def open(
        self,
        pull: Pull,
        on_edge: Callable[[Edge], None] | None = None,
        *,
        settle_s: float = 0.0,
    ) -> None:
        """Claim the line; edges are seen before they are told."""
        inner, seen = self._inner, None if on_edge is None else partial(self._edge, on_edge)
        make = partial(inner.open, pull, seen, settle_s=settle_s)
        args, options = (pull.value, on_edge is not None), {"settle_s": settle_s}
        self._observer.call(self.kind, inner.name, "open", args, options, make)

    def read(self) -> bool:
        """Return the level."""
        return self._call("read", self._inner.read)

    def _edge(self, on_edge: Callable[[Edge], None], edge: Edge) -> None:
        self._observer.edge(self._inner.name, edge)
        on_edge(edge)


class ObservedPwm(_Observed[PwmOutput]):
    """A PwmOutput."""

    kind = "pwm"

    @property
    def hardware(self) -> bool:
        """Whether a hardware timer makes the pulses."""
        return self._inner.hardware

    def open(self, frequency_hz: float, duty: float) -> None:
        """Claim the line and begin with `duty`."""
        self._call("open", self._inner.open, frequency_hz, duty)

    def write(self, duty: float) -> None:
        """Change the share that is high."""
        self._call("write", self._inner.write, duty)


class ObservedI2C(_Observed[I2CBus]):
    """An I2CBus."""

    kind = "i2c"

    def open(self) -> None:
        """Take the bus into use."""
        self._call("open", self._inner.open)

    def read(self, address: int, length: int) -> bytes:
        """Read `length` bytes."""
        return self._call("read", self._inner.read, address, length)

    def write(self, address: int, data: bytes) -> None:
        """Write bytes."""
        self._call("write", self._inner.write, address, data)

    def write_read(self, address: int, data: bytes, length: int) -> bytes:
        """Write, then read after a repeated start."""
        return self._call("write_read", self._inner.write_read, address, data, length)

    def transfer(
        self, address: int, *messages: bytes | int, ten_bit: bool = False
    ) -> tuple[bytes, ...]:
        """Carry out messages as one transaction."""
        return self._call("transfer", self._inner.transfer, address, *messages, ten_bit=ten_bit)

    def read_block(self, address: int, command: int) -> bytes:
        """Read an SMBus block."""
        return self._call("read_block", self._inner.read_block, address, command)

    def write_block(self, address: int, command: int, data: bytes) -> None:
        """Write an SMBus block."""
        self._call("write_block", self._inner.write_block, address, command, data)

    def held(self) -> AbstractContextManager[None]:
        """Keep the bus for several transactions; each of these is seen."""
        return self._inner.held()

    def scan(self) -> tuple[int, ...]:
        """Return the addresses that answer."""
        return self._call("scan", self._inner.scan)


class ObservedI2CWithHealth(ObservedI2C):
    """An I2CBus that tells how it is: seen is what has changed in that, not each time it is asked.

    What only counts up, transactions and the time that they took, is no change.
    """

    _seen = BusHealth()

    @property
    def health(self) -> BusHealth:
        """How it is now."""
        now = self._healthy.health
        steady = replace(now, transactions=0, busy_s=0.0)
        if steady != self._seen:
            self._seen = steady
            self._observer.call(self.kind, self.name, "health", (), {}, lambda: now)
        return now

    def check(self) -> None:
        """Try a bus that is out of use again; seen is if it stays so."""
        try:
            self._healthy.check()
        except BrokenError as error:
            self._observer.call(self.kind, self.name, "check", (), {}, partial(_fail, error))

    def use_recovery(self, recovery: Recovery | None) -> None:
        """Try this when the bus is stuck; what it does is seen at its own boundaries."""
        if isinstance(self._inner, Recoverable):
            self._inner.use_recovery(recovery)

    @property
    def _healthy(self) -> HasHealth:
        assert isinstance(self._inner, HasHealth)
        return self._inner


def _fail(error: Exception) -> None:
    raise error


class ObservedSerial(_Observed[SerialPort]):
    """A SerialPort."""

    kind = "serial"

    def open(
        self,
        baudrate: int,
        timeout_s: float,
        *,
        data_bits: int = 8,
        parity: Parity = Parity.NONE,
        stop_bits: int = 1,
        rs485: Rs485 | None = None,
    ) -> None:
        """Open at `baudrate`."""
        self._call(
            "open", self._inner.open, baudrate, timeout_s, data_bits=data_bits, parity=parity,
            stop_bits=stop_bits, rs485=rs485,
        )  # fmt: skip

    def read(self, length: int) -> bytes:
        """Return `length` bytes, or fewer when the timeout comes first."""
        return self._call("read", self._inner.read, length)

    def read_available(self) -> bytes:
        """Return what has been received so far."""
        return self._call("read_available", self._inner.read_available)

    def read_until(self, end: bytes, limit: int) -> bytes:
        """Return the bytes up to and with `end`."""
        return self._call("read_until", self._inner.read_until, end, limit)

    def read_frame(self, gap_s: float, limit: int) -> bytes:
        """Return the bytes up to the first silence."""
        return self._call("read_frame", self._inner.read_frame, gap_s, limit)

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        self._call("write", self._inner.write, data)

    def flush(self) -> None:
        """Wait until everything has left the port."""
        self._call("flush", self._inner.flush)

    def discard_input(self) -> None:
        """Lose what has been received and not been read."""
        self._call("discard_input", self._inner.discard_input)


class ObservedSpi(_Observed[SpiDevice]):
    """An SpiDevice."""

    kind = "spi"

    def open(self, speed_hz: int, *, mode: int = 0, lsb_first: bool = False) -> None:
        """Take it into use."""
        self._call("open", self._inner.open, speed_hz, mode=mode, lsb_first=lsb_first)

    def transfer(self, data: bytes) -> bytes:
        """Send bytes and return as many."""
        return self._call("transfer", self._inner.transfer, data)


class ObservedOneWire(_Observed[OneWireBus]):
    """A OneWireBus."""

    kind = "onewire"

    def open(self) -> None:
        """Take the bus into use."""
        self._call("open", self._inner.open)

    def search(self) -> tuple[str, ...]:
        """Return the ROM codes of the chips."""
        return self._call("search", self._inner.search)

    def measure(self, rom: str) -> bytes:
        """Let a chip convert and return its scratchpad."""
        return self._call("measure", self._inner.measure, rom)
