"""LinuxBackend: the boundaries of the machine that this runs on."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from weakref import WeakKeyDictionary

from edgekernel.backends.gpiozero_lines import GpiozeroInput, GpiozeroOutput, Lines
from edgekernel.backends.gpiozero_pulses import GpiozeroPulses, check_pulses_possible
from edgekernel.backends.linux.gpio import Chips
from edgekernel.backends.linux.i2c import DeviceWire
from edgekernel.backends.linux.onewire import SysfsWire
from edgekernel.backends.linux.serial import serial_opener
from edgekernel.backends.linux.spi import SpidevDevice
from edgekernel.backends.linux.sysfs_pwm import SysfsPwm
from edgekernel.backends.pyserial_port import PySerialPort
from edgekernel.backends.settled_input import SettledInput
from edgekernel.backends.shared_i2c import SharedI2CBus
from edgekernel.backends.shared_onewire import SharedOneWireBus
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


class LinuxBackend:
    """A Backend on the device files of Linux. Its libraries load when first needed."""

    def __init__(
        self,
        clock: Clock,
        folder: Path = Path("/dev"),
        pwm_folder: Path = Path("/sys/class/pwm"),
    ) -> None:
        """Wait on `clock`; look for GPIO chips (gpiochip0, ...) in `folder`, and for PWM
        controllers (pwmchip0, ...) in `pwm_folder`."""
        self._clock = clock
        self._pwm_folder = pwm_folder
        self._chips = Chips(folder)
        self._lines = Lines(clock, self._chips.pin)
        self._watcher = Watcher(clock)
        self._buses: dict[str, SharedI2CBus] = {}
        self._onewires: dict[str, SharedOneWireBus] = {}
        # Those that somebody still has, in the order of their making.
        self._ports: WeakKeyDictionary[PySerialPort, None] = WeakKeyDictionary()
        self._selects: WeakKeyDictionary[SpidevDevice, None] = WeakKeyDictionary()

    def digital_output(self, line: LineAddress) -> GpiozeroOutput:
        """Return a closed output on a line.

        After `close`, or after the process has died, the line is left to the kernel. That of
        Raspberry Pi OS keeps an output's level; others may turn it into an input
        (parameter persist_gpio_outputs of pinctrl-bcm2835, Linux 6.9).
        """
        return GpiozeroOutput(line, self._lines)

    def digital_input(self, line: LineAddress) -> SettledInput:
        """Return a closed input on a line. Edges have the time at which the kernel saw them."""
        return SettledInput(GpiozeroInput(line, self._lines), self._clock, self._watcher)

    def pwm_output(
        self, address: PwmAddress, *, software: bool = False
    ) -> SysfsPwm | GpiozeroPulses:
        """Return a closed output for pulses; `software` allows it where no hardware timer can.

        Raises ConfigError if there is no hardware timer and software is not allowed.
        """
        check_pulses_possible(address, software)
        if address.controller:
            return SysfsPwm(address, self._lines, self._clock, self._pwm_folder)
        return GpiozeroPulses(address, self._lines)

    def i2c_bus(self, bus: BusAddress) -> SharedI2CBus:
        """Return the bus; the same object for every device on it."""
        if bus.device not in self._buses:
            self._buses[bus.device] = SharedI2CBus(bus.name, DeviceWire(bus), self._clock)
        return self._buses[bus.device]

    def serial_port(self, port: PortAddress) -> PySerialPort:
        """Return a closed port."""
        made = PySerialPort(port, serial_opener(port), self._clock)
        self._ports[made] = None
        return made

    def spi_device(self, address: SpiAddress) -> SpidevDevice:
        """Return a closed chip select."""
        made = SpidevDevice(address, self._clock)
        self._selects[made] = None
        return made

    def onewire_bus(self, bus: OneWireAddress) -> SharedOneWireBus:
        """Return the bus; the same object for every device on it."""
        if bus.name not in self._onewires:
            self._onewires[bus.name] = SharedOneWireBus(bus.name, SysfsWire(bus), self._clock)
        return self._onewires[bus.name]

    def close(self) -> None:
        """Give back what is still open, all of it even if one raises."""
        with ExitStack() as closing:  # runs backwards: the chips close after their lines
            closing.callback(self._chips.close)
            for bus in self._buses.values():
                closing.callback(bus.close_for_all)
            for onewire in self._onewires.values():
                closing.callback(onewire.close_for_all)
            for select in self._selects:
                closing.callback(select.close)
            for port in self._ports:
                closing.callback(port.close)
            closing.callback(self._lines.close)
            closing.callback(self._watcher.close)
