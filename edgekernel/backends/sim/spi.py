"""Simulated SPI: a socket per chip select, into which a chip is plugged."""

from __future__ import annotations

from edgekernel.backends.spi_transfers import check_length, check_settings
from edgekernel.core.clock import Clock
from edgekernel.core.errors import BusyError, ClosedError, InvalidValueError
from edgekernel.hal.address import SpiAddress
from edgekernel.hal.spi import SpiTarget


class SimSpi:
    """A chip select from outside: the socket that a chip is plugged into."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.user: SimSpiDevice | None = None
        """Who has the chip select open."""
        self._target: SpiTarget | None = None

    def plug(self, target: SpiTarget) -> None:
        """Put a chip behind the chip select, in place of the last one."""
        self._target = target

    def unplug(self) -> None:
        """Take the chip away: nobody drives the line any more."""
        self._target = None

    def transfer(self, data: bytes) -> bytes:
        """Carry out one transaction; without a chip every bit is 0, as with a pull-down.

        The input MISO of a Raspberry Pi, GPIO9, has one after a reset (BCM2835 ARM Peripherals,
        table 6-31). Raises InvalidValueError if the chip answers another number of bytes than it
        got, which a real one cannot.
        """
        if self._target is None:
            return bytes(len(data))
        answer = bytes(self._target.transfer(data))
        if len(answer) != len(data):
            raise InvalidValueError(
                f"{self.name}: the simulated {type(self._target).__name__} answered "
                f"{len(answer)} bytes to {len(data)}; correct its `transfer`"
            )
        return answer


class SimSpiDevice:
    """An SpiDevice whose other end is a simulated chip."""

    def __init__(self, address: SpiAddress, socket: SimSpi) -> None:
        self._name = address.name
        self._socket = socket
        self._lock = socket.clock.Lock()

    @property
    def name(self) -> str:
        """The chip select as people know it, such as "spi0.0"."""
        return self._name

    def open(self, speed_hz: int, *, mode: int = 0, lsb_first: bool = False) -> None:
        """Take it into use; the simulated chip keeps up with every clock and mode.

        Raises BusyError if somebody has it.
        """
        check_settings(self._name, speed_hz, mode)
        if self._socket.user is not None:
            raise BusyError(f"{self._name}: in use: the simulated chip select is open already")
        self._socket.user = self

    def transfer(self, data: bytes) -> bytes:
        """Send bytes (1 to 4096) and return as many, received at the same time."""
        check_length(self._name, data)
        with self._lock:
            if self._socket.user is not self:
                raise ClosedError(f"{self._name}: not open; open it first")
            return self._socket.transfer(bytes(data))

    def close(self) -> None:
        """Give it back. Closing twice is harmless."""
        if self._socket.user is self:
            self._socket.user = None
