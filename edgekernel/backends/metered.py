"""A backend around another one that adds up how long devices keep their buses busy.

It computes what the wire takes at the clock of the bus, whoever plays the chips: a simulated
transfer takes no time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from edgekernel.backends.backend import Backend
from edgekernel.backends.observed import ObservedBackend
from edgekernel.core.clock import Clock
from edgekernel.hal.gpio import Edge

R = TypeVar("R")

_BYTE = 9
"""Bits of a byte on I²C, with its acknowledge (UM10204, section 3.1.5)."""

_SLOT_S = 70e-6
_RESET_S = 960e-6
"""A 1-Wire bit, and a reset with its presence pulse (Maxim application note 126, table 2)."""

_MEASURE_BYTES = (9 + 1) + (9 + 1 + 9)
"""Bytes of one measurement: match ROM and convert; match ROM, read and the scratchpad itself."""


class Meter:
    """Seconds on the wire, kept apart by flow of control: each poller has one of its own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._spent: dict[object, float] = {}

    def spend(self, seconds: float) -> None:
        """Add to what the flow that is running has spent."""
        flow = self._clock.flow()
        self._spent[flow] = self._spent.get(flow, 0.0) + seconds

    def take(self) -> float:
        """Return what the flow that is running has spent since it last took."""
        return self._spent.pop(self._clock.flow(), 0.0)


class MeteredBackend(ObservedBackend):
    """A Backend whose I²C, SPI and 1-Wire boundaries tell a meter what each call costs.

    `speed_hz` gives the clock of an I²C bus by its name. What the other boundaries do costs
    nothing.
    """

    def __init__(self, backend: Backend, meter: Meter, speed_hz: Callable[[str], int]) -> None:
        super().__init__(backend, _Metering(meter, speed_hz))


class _Metering:
    """The observer that meters. A call that is refused has been on the wire all the same."""

    def __init__(self, meter: Meter, speed_hz: Callable[[str], int]) -> None:
        self._meter = meter
        self._speed_hz = speed_hz
        self._spi_hz: dict[str, int] = {}

    def call(
        self,
        kind: str,
        name: str,
        op: str,
        args: tuple[Any, ...],
        options: Mapping[str, Any],
        make: Callable[[], R],
    ) -> R:
        """Make the call and meter it."""
        result: Any = None
        try:
            made = make()
            result = made
        finally:
            self._meter.spend(self._cost_s(kind, name, op, args, options, result))
        return made

    def edge(self, line: str, edge: Edge) -> None:
        """Do nothing: an edge is on no bus."""

    def _cost_s(
        self,
        kind: str,
        name: str,
        op: str,
        args: tuple[Any, ...],
        options: Mapping[str, Any],
        result: Any,
    ) -> float:
        if kind == "i2c":
            return _i2c_bits(op, args, options, result) / self._speed_hz(name)
        if kind == "spi" and op == "open":
            self._spi_hz[name] = args[0]
        if kind == "spi" and op == "transfer":
            return 8 * len(args[0]) / self._spi_hz[name]
        return _onewire_s(op, result) if kind == "onewire" else 0.0


def _i2c_bits(op: str, args: tuple[Any, ...], options: Mapping[str, Any], result: Any) -> int:
    """Return the bits of one call: start, address, bytes with acknowledge, stop; no stretching."""
    match op:
        case "read":
            return _transaction(args[1])
        case "write":
            return _transaction(len(args[1]))
        case "write_read":
            return _transaction(len(args[1]), args[2])
        case "transfer":
            sizes = [each if isinstance(each, int) else len(each) for each in args[1:]]
            extra = int(options.get("ten_bit", False))  # such an address has a second byte
            return _transaction(*(size + extra for size in sizes))
        case "read_block":
            return _transaction(1, 1 + len(result or b""))
        case "write_block":
            return _transaction(2 + len(args[2]))
        case "scan":
            found = result or ()
            return sum(_transaction(int(address in found)) for address in range(0x08, 0x78))
    return 0


def _transaction(*sizes: int) -> int:
    """Return the bits of one transaction: a start and an address for each message, one stop."""
    return sum(1 + _BYTE + _BYTE * size for size in sizes) + 1


def _onewire_s(op: str, result: Any) -> float:
    """Return what goes over the wire; a conversion takes its own time."""
    match op:
        case "search":  # each chip takes a reset, a byte, and 3 slots a bit
            return len(result or ()) * (_RESET_S + (8 + 3 * 64) * _SLOT_S)
        case "measure":
            return 2 * _RESET_S + 8 * _MEASURE_BYTES * _SLOT_S
    return 0.0
