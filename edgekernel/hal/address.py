"""Where a boundary is found on a board: what a backend is given to make one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LineAddress:
    """A GPIO line: its name ("GPIO17"), its chip by label, and its offset on the chip."""

    name: str
    chip: str
    offset: int


@dataclass(frozen=True, slots=True)
class BusAddress:
    """An I²C bus: its name ("i2c1") and its device file ("/dev/i2c-1")."""

    name: str
    device: str


@dataclass(frozen=True, slots=True)
class PortAddress:
    """A serial port: its name ("uart0", or the path itself) and its device file."""

    name: str
    device: str


@dataclass(frozen=True, slots=True)
class PwmAddress:
    """A line that can be driven with pulses, and the hardware timer that can do it, if any."""

    line: LineAddress
    controller: str = ""
    """The device of the PWM controller, as in /sys/class/pwm/pwmchip*/device; empty if none can."""
    channel: int = 0

    @property
    def name(self) -> str:
        """The line as people know it, such as "GPIO18"."""
        return self.line.name


@dataclass(frozen=True, slots=True)
class SpiAddress:
    """A chip select on an SPI bus: its name ("spi0.0") and its device file ("/dev/spidev0.0")."""

    name: str
    device: str


@dataclass(frozen=True, slots=True)
class OneWireAddress:
    """A 1-Wire bus: its name ("w1") and the folder in which Linux shows its chips."""

    name: str
    folder: str = "/sys/bus/w1/devices"


@dataclass(frozen=True, slots=True)
class ProvidedLine:
    """A line of another device of the node: "io:GPA3" is the line GPA3 of the device `io`."""

    provider: str
    line: str

    @property
    def name(self) -> str:
        """The line as the node file writes it."""
        return f"{self.provider}:{self.line}"
