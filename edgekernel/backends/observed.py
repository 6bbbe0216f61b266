"""A backend around another one whose boundaries let an observer see every call.

The observer makes the call itself, so that it can look at the time, the result and the error, or
do something before. What it does not touch goes through as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from edgekernel.backends.backend import Backend
from edgekernel.hal.address import BusAddress, LineAddress, PortAddress
from edgekernel.hal.gpio import DigitalInput, DigitalOutput, Edge, Pull
from edgekernel.hal.i2c import I2CBus
from edgekernel.hal.serial import SerialPort

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
    """Who sees the calls. `kind` is that of the boundary: output, input, i2c or serial."""

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

    def digital_output(self, line: LineAddress) -> DigitalOutput:
        """Return a closed output on a line."""
        return ObservedOutput(self._backend.digital_output(line), self._observer)

    def digital_input(self, line: LineAddress) -> DigitalInput:
        """Return a closed input on a line."""
        return ObservedInput(self._backend.digital_input(line), self._observer)

    def i2c_bus(self, bus: BusAddress) -> I2CBus:
        """Return the bus; the same object for every device on it."""
        if bus.name not in self._buses:
            self._buses[bus.name] = ObservedI2C(self._backend.i2c_bus(bus), self._observer)
        return self._buses[bus.name]

    def serial_port(self, port: PortAddress) -> SerialPort:
        """Return a closed port."""
        return ObservedSerial(self._backend.serial_port(port), self._observer)

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

    def _call(self, method: Callable[P, R], *args: P.args, **options: P.kwargs) -> R:
        make = partial(method, *args, **options)
        op = method.__name__
        return self._observer.call(self.kind, self._inner.name, op, args, options, make)

    def close(self) -> None:
        """Give it back."""
        self._call(self._inner.close)


class ObservedOutput(_Observed[DigitalOutput]):
    """A DigitalOutput."""

    kind = "output"

    def open(self, level: bool) -> None:
        """Claim the line and drive `level`."""
        self._call(self._inner.open, level)

    def write(self, level: bool) -> None:
        """Drive `level`."""
        self._call(self._inner.write, level)

    def read(self) -> bool:
        """Return the level that the pin really has."""
        return self._call(self._inner.read)


class ObservedInput(_Observed[DigitalInput]):
    """A DigitalInput, edges included."""

    kind = "input"

    def open(self, pull: Pull, on_edge: Callable[[Edge], None] | None = None) -> None:
        """Claim the line; edges are seen before they are told."""
        inner, seen = self._inner, None if on_edge is None else partial(self._edge, on_edge)
        make = partial(inner.open, pull, seen)
        args = (pull.value, on_edge is not None)
        self._observer.call(self.kind, inner.name, "open", args, {}, make)

    def read(self) -> bool:
        """Return the level."""
        return self._call(self._inner.read)

    def _edge(self, on_edge: Callable[[Edge], None], edge: Edge) -> None:
        self._observer.edge(self._inner.name, edge)
        on_edge(edge)


class ObservedI2C(_Observed[I2CBus]):
    """An I2CBus."""

    kind = "i2c"

    def open(self) -> None:
        """Take the bus into use."""
        self._call(self._inner.open)

    def read(self, address: int, length: int) -> bytes:
        """Read `length` bytes."""
        return self._call(self._inner.read, address, length)

    def write(self, address: int, data: bytes) -> None:
        """Write bytes."""
        self._call(self._inner.write, address, data)

    def write_read(self, address: int, data: bytes, length: int) -> bytes:
        """Write, then read after a repeated start."""
        return self._call(self._inner.write_read, address, data, length)


class ObservedSerial(_Observed[SerialPort]):
    """A SerialPort."""

    kind = "serial"

    def open(self, baudrate: int, timeout_s: float) -> None:
        """Open at `baudrate`."""
        self._call(self._inner.open, baudrate, timeout_s)

    def read(self, length: int) -> bytes:
        """Return `length` bytes, or fewer when the timeout comes first."""
        return self._call(self._inner.read, length)

    def read_available(self) -> bytes:
        """Return what has been received so far."""
        return self._call(self._inner.read_available)

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        self._call(self._inner.write, data)
