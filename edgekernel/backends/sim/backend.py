"""SimBackend: the boundaries of a board that is not there."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from weakref import WeakKeyDictionary

from edgekernel.backends.gpiozero_lines import GpiozeroInput, GpiozeroOutput, Lines
from edgekernel.backends.gpiozero_pulses import GpiozeroPulses, check_pulses_possible
from edgekernel.backends.pyserial_port import PySerialPort
from edgekernel.backends.settled_input import SettledInput
from edgekernel.backends.sim.gpio import SimLine, SimPins
from edgekernel.backends.sim.i2c import SimI2CBus
from edgekernel.backends.sim.onewire import SimOneWireBus
from edgekernel.backends.sim.port import SimPort
from edgekernel.backends.sim.serial import open_simulated
from edgekernel.backends.sim.spi import SimSpi, SimSpiDevice
from edgekernel.backends.watcher import Watcher
from edgekernel.core.clock import Clock
from edgekernel.hal.address import (
    BusAddress,
    LineAddress,
    OneWireAddress,
    PortAddress,
    PwmAddress,
    SpiAddress,
)


class SimBackend:
    """A Backend whose outside is played by handles: lines, buses and ports by name.

    Nothing in it waits on anything but the clock, and two of them share nothing.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pins = SimPins(clock)
        self._used_on(clock)
        self._buses: dict[str, SimI2CBus] = {}
        self._sockets: dict[str, SimPort] = {}
        self._selects: dict[str, SimSpi] = {}
        self._onewires: dict[str, SimOneWireBus] = {}
        # Those that somebody still has, in the order of their making.
        self._ports: WeakKeyDictionary[PySerialPort, None] = WeakKeyDictionary()

    @property
    def clock(self) -> Clock:
        """What everything outside waits on."""
        return self._clock

    @property
    def claimed(self) -> list[str]:
        """What is open now: lines, ports and chip selects by name, a bus once for each user."""
        names = [f"GPIO{offset}" for _, offset in self._lines.taken]
        for name, bus in self._buses.items():
            names += [name] * bus.users
        for name, onewire in self._onewires.items():
            names += [name] * onewire.users
        names += [name for name, select in self._selects.items() if select.user is not None]
        return sorted(names + [port.name for port in self._ports if port.is_open])

    def cut_off(self) -> None:
        """Let whoever uses it reach nothing any more: the agent ends with no chance to act."""
        self._pins.cut_off = True
        for bus in self._buses.values():
            bus.cut_off()
        for port in self._sockets.values():
            port.cut_off = True
        for select in self._selects.values():
            select.user = None

    def vacate(self, clock: Clock) -> None:
        """Give back what is open, as the kernel does when a process ends; levels stay.

        Who uses it from now on waits on `clock`, which has the time of the old one.
        """
        self._pins.vacate()
        for bus in self._buses.values():
            bus.vacate(clock)
        for onewire in self._onewires.values():
            onewire.vacate(clock)
        for port in self._sockets.values():
            port.vacate()
        self._ports.clear()
        self._used_on(clock)

    def power_off(self) -> None:
        """Let every pin be without power: an input, and low unless the outside drives it."""
        self._pins.power_off()

    def _used_on(self, clock: Clock) -> None:
        self._user_clock = clock
        self._lines = Lines(clock, self._pins.pin)
        self._watcher = Watcher(clock)

    def line(self, name: str) -> SimLine:
        """Return the outside of a line such as "GPIO17".

        A name that is not "GPIO" and a number is known once an output or input was made on it;
        before that it raises UnknownTargetError.
        """
        return self._pins.line(name)

    def wire(self, first: str, second: str) -> None:
        """Put a jumper wire between two lines, known by name as in `line`.

        Raises LifecycleError if that is a short circuit.
        """
        self._pins.wire(first, second)

    def bus(self, name: str) -> SimI2CBus:
        """Return a bus such as "i2c1", to plug chips into."""
        if name not in self._buses:
            self._buses[name] = SimI2CBus(name, self._clock)
        return self._buses[name]

    def port(self, name: str) -> SimPort:
        """Return the outside of a port such as "uart0", to plug a far end into."""
        if name not in self._sockets:
            self._sockets[name] = SimPort(name, self._clock)
        return self._sockets[name]

    def spi(self, name: str) -> SimSpi:
        """Return the outside of a chip select such as "spi0.0", to plug a chip into."""
        if name not in self._selects:
            self._selects[name] = SimSpi(name, self._clock)
        return self._selects[name]

    def onewire(self, name: str) -> SimOneWireBus:
        """Return a 1-Wire bus such as "w1", to plug chips into."""
        if name not in self._onewires:
            self._onewires[name] = SimOneWireBus(name, self._clock)
        return self._onewires[name]

    def digital_output(self, line: LineAddress) -> GpiozeroOutput:
        """Return a closed output on a line."""
        self._pins.add(line)
        return GpiozeroOutput(line, self._lines)

    def digital_input(self, line: LineAddress) -> SettledInput:
        """Return a closed input on a line."""
        self._pins.add(line)
        return SettledInput(GpiozeroInput(line, self._lines), self._user_clock, self._watcher)

    def pwm_output(self, address: PwmAddress, *, software: bool = False) -> GpiozeroPulses:
        """Return a closed output for pulses; `software` allows it where no hardware timer can.

        Raises ConfigError if there is no hardware timer and software is not allowed.
        """
        check_pulses_possible(address, software)
        self._pins.add(address.line)
        return GpiozeroPulses(address, self._lines)

    def i2c_bus(self, bus: BusAddress) -> SimI2CBus:
        """Return the bus; the same object for every device on it."""
        return self.bus(bus.name)

    def serial_port(self, port: PortAddress) -> PySerialPort:
        """Return a closed port."""
        made = PySerialPort(port, partial(open_simulated, self.port(port.name)), self._user_clock)
        self._ports[made] = None
        return made

    def spi_device(self, address: SpiAddress) -> SimSpiDevice:
        """Return a closed chip select."""
        return SimSpiDevice(address, self.spi(address.name))

    def onewire_bus(self, bus: OneWireAddress) -> SimOneWireBus:
        """Return the bus; the same object for every device on it."""
        return self.onewire(bus.name)

    def close(self) -> None:
        """Give back what is still open, all of it even if one raises."""
        with ExitStack() as closing:
            for bus in self._buses.values():
                closing.callback(bus.close_for_all)
            for onewire in self._onewires.values():
                closing.callback(onewire.close_for_all)
            for select in self._selects.values():
                if select.user is not None:
                    closing.callback(select.user.close)
            for port in self._ports:
                closing.callback(port.close)
            closing.callback(self._lines.close)
            closing.callback(self._watcher.close)
