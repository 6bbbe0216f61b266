"""A backend around another one that adds up how long devices keep their buses busy.

It computes what the wire takes at the clock of the bus, whoever plays the chips: a simulated
transfer takes no time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from edgekernel.backends.backend import Backend
from edgekernel.core.clock import Clock
from edgekernel.hal.address import (
    BusAddress,
    LineAddress,
    OneWireAddress,
    PortAddress,
    PwmAddress,
    SpiAddress,
)
from edgekernel.hal.gpio import DigitalInput, DigitalOutput, PwmOutput
from edgekernel.hal.i2c import I2CBus
from edgekernel.hal.onewire import OneWireBus
from edgekernel.hal.serial import SerialPort
from edgekernel.hal.spi import SpiDevice

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


class MeteredBackend:
    """A Backend whose I²C, SPI and 1-Wire boundaries tell a meter what each call costs.

    `speed_hz` gives the clock of an I²C bus by its name. The other boundaries are those of
    `backend` itself.
    """

    def __init__(self, backend: Backend, meter: Meter, speed_hz: Callable[[str], int]) -> None:
        self._backend = backend
        self._meter = meter
        self._speed_hz = speed_hz
        self._buses: dict[str, MeteredI2C] = {}
        self._onewires: dict[str, MeteredOneWire] = {}

    def digital_output(self, line: LineAddress) -> DigitalOutput:
        """Return a closed output on a line."""
        return self._backend.digital_output(line)

    def digital_input(self, line: LineAddress) -> DigitalInput:
        """Return a closed input on a line."""
        return self._backend.digital_input(line)

    def pwm_output(self, address: PwmAddress, *, software: bool = False) -> PwmOutput:
        """Return a closed output for pulses."""
        return self._backend.pwm_output(address, software=software)

    def i2c_bus(self, bus: BusAddress) -> I2CBus:
        """Return the bus; the same object for every device on it."""
        if bus.name not in self._buses:
            inner, speed_hz = self._backend.i2c_bus(bus), self._speed_hz(bus.name)
            self._buses[bus.name] = MeteredI2C(inner, self._meter, speed_hz)
        return self._buses[bus.name]

    def serial_port(self, port: PortAddress) -> SerialPort:
        """Return a closed port."""
        return self._backend.serial_port(port)

    def spi_device(self, address: SpiAddress) -> SpiDevice:
        """Return a closed chip select."""
        return MeteredSpi(self._backend.spi_device(address), self._meter)

    def onewire_bus(self, bus: OneWireAddress) -> OneWireBus:
        """Return the bus; the same object for every device on it."""
        if bus.name not in self._onewires:
            self._onewires[bus.name] = MeteredOneWire(self._backend.onewire_bus(bus), self._meter)
        return self._onewires[bus.name]

    def close(self) -> None:
        """Give back what is still open."""
        self._backend.close()


class MeteredI2C:
    """An I2CBus that meters start, address, bytes with acknowledge, and stop; no stretching."""

    def __init__(self, bus: I2CBus, meter: Meter, speed_hz: int) -> None:
        self._bus = bus
        self._meter = meter
        self._speed_hz = speed_hz

    @property
    def name(self) -> str:
        """The bus as people know it, such as "i2c1"."""
        return self._bus.name

    def open(self) -> None:
        """Take the bus into use; every `open` needs its `close`."""
        self._bus.open()

    def read(self, address: int, length: int) -> bytes:
        """Read `length` bytes."""
        self._spend(length)
        return self._bus.read(address, length)

    def write(self, address: int, data: bytes) -> None:
        """Write bytes."""
        self._spend(len(data))
        self._bus.write(address, data)

    def write_read(self, address: int, data: bytes, length: int) -> bytes:
        """Write, then read after a repeated start."""
        self._spend(len(data), length)
        return self._bus.write_read(address, data, length)

    def transfer(
        self, address: int, *messages: bytes | int, ten_bit: bool = False
    ) -> tuple[bytes, ...]:
        """Carry out messages as one transaction; each has its start and address."""
        sizes = [each if isinstance(each, int) else len(each) for each in messages]
        self._spend(*(size + ten_bit for size in sizes))  # such an address has a second byte
        return self._bus.transfer(address, *messages, ten_bit=ten_bit)

    def read_block(self, address: int, command: int) -> bytes:
        """Read an SMBus block: the command, then the length and as many bytes."""
        data = self._bus.read_block(address, command)
        self._spend(1, 1 + len(data))
        return data

    def write_block(self, address: int, command: int, data: bytes) -> None:
        """Write an SMBus block: the command, the length, the bytes."""
        self._spend(2 + len(data))
        self._bus.write_block(address, command, data)

    def held(self) -> AbstractContextManager[None]:
        """Keep the bus for several transactions."""
        return self._bus.held()

    def scan(self) -> tuple[int, ...]:
        """Return the addresses that answer."""
        found = self._bus.scan()
        for address in range(0x08, 0x78):
            self._spend(int(address in found))
        return found

    def close(self) -> None:
        """Give the bus back."""
        self._bus.close()

    def _spend(self, *sizes: int) -> None:
        """Meter one transaction: a start and an address for each message, then one stop."""
        bits = sum(1 + _BYTE + _BYTE * size for size in sizes) + 1
        self._meter.spend(bits / self._speed_hz)


class MeteredSpi:
    """An SpiDevice that meters its bytes at the clock that it was opened with."""

    def __init__(self, device: SpiDevice, meter: Meter) -> None:
        self._device = device
        self._meter = meter
        self._speed_hz = 1

    @property
    def name(self) -> str:
        """The chip select as people know it, such as "spi0.0"."""
        return self._device.name

    def open(self, speed_hz: int, *, mode: int = 0, lsb_first: bool = False) -> None:
        """Take it into use."""
        self._device.open(speed_hz, mode=mode, lsb_first=lsb_first)
        self._speed_hz = speed_hz

    def transfer(self, data: bytes) -> bytes:
        """Send bytes and return as many."""
        self._meter.spend(8 * len(data) / self._speed_hz)
        return self._device.transfer(data)

    def close(self) -> None:
        """Give it back."""
        self._device.close()


class MeteredOneWire:
    """A OneWireBus that meters what goes over the wire; a conversion takes its own time."""

    def __init__(self, bus: OneWireBus, meter: Meter) -> None:
        self._bus = bus
        self._meter = meter

    @property
    def name(self) -> str:
        """The bus as people know it, such as "w1"."""
        return self._bus.name

    def open(self) -> None:
        """Take the bus into use."""
        self._bus.open()

    def search(self) -> tuple[str, ...]:
        """Return the ROM codes of the chips: each takes a reset, a byte, and 3 slots a bit."""
        found = self._bus.search()
        self._meter.spend(len(found) * (_RESET_S + (8 + 3 * 64) * _SLOT_S))
        return found

    def measure(self, rom: str) -> bytes:
        """Let a chip convert and return its scratchpad."""
        self._meter.spend(2 * _RESET_S + 8 * _MEASURE_BYTES * _SLOT_S)
        return self._bus.measure(rom)

    def close(self) -> None:
        """Give the bus back."""
        self._bus.close()
