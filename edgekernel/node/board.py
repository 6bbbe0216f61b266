"""Boards: which lines, buses and ports a computer has and what people call them."""

from __future__ import annotations

import tomllib

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgekernel.core.errors import ConfigError
from edgekernel.hal.address import (
    BusAddress,
    LineAddress,
    OneWireAddress,
    PortAddress,
    PwmAddress,
    SpiAddress,
)
from edgekernel.node.problems import did_you_mean, explain


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Line(_Table):
    chip: str
    line: int = Field(ge=0)


class _Gpio(_Table):
    chip: str = ""
    """The chip of the lines that are given by their offset alone."""
    lines: dict[str, int | _Line]


class _Bus(_Table):
    device: str
    lines: list[str] = Field(default_factory=list)
    enable: str = ""
    """What switches it on: a line of config.txt, an overlay, a kernel module."""
    note: str = ""
    """What its users have to know: what else is on it, or how its device file may differ."""
    speed_hz: int | None = Field(default=None, gt=0)
    """The clock that an I²C bus has unless the system is told otherwise."""


class _Spi(_Bus):
    select: str | None = None
    """The line of its chip select; `lines` are those that the chips of one bus share."""


class _OneWire(_Table):
    folder: str = "/sys/bus/w1/devices"
    lines: list[str] = Field(default_factory=list)
    enable: str = ""


class _Pwm(_Table):
    controller: str
    channel: int = Field(ge=0)
    enable: str = ""


class _BoardDocument(_Table):
    name: str
    compatible: list[str]
    source: str
    gpio: _Gpio
    headers: dict[str, dict[str, str]] = Field(default_factory=dict)
    i2c: dict[str, _Bus] = Field(default_factory=dict)
    uart: dict[str, _Bus] = Field(default_factory=dict)
    spi: dict[str, _Spi] = Field(default_factory=dict)
    onewire: dict[str, _OneWire] = Field(default_factory=dict)
    pwm: dict[str, _Pwm] = Field(default_factory=dict)
    """The lines that a hardware timer can drive."""
    labels: dict[str, str] = Field(default_factory=dict)
    reserved: dict[str, str] = Field(default_factory=dict)


class Board:
    """One board, from its file."""

    def __init__(self, id: str, document: _BoardDocument) -> None:
        self.id = id
        self.name = document.name
        self.compatible = tuple(document.compatible)
        self.source = document.source
        self.labels = document.labels
        self.reserved = document.reserved
        self.headers = document.headers
        self.lines = {
            name: LineAddress(name, line.chip, line.line)
            if isinstance(line, _Line)
            else LineAddress(name, document.gpio.chip, line)
            for name, line in document.gpio.lines.items()
        }
        """The GPIO lines by name."""
        self._i2c = document.i2c
        self._uart = document.uart
        self._spi = document.spi
        self._onewire = document.onewire
        self._pwm = document.pwm
        buses: dict[str, _Bus | _OneWire] = {**document.i2c, **document.uart, **document.spi}
        buses |= document.onewire
        self._taken = {name: bus.lines for name, bus in buses.items()}
        self._enabling = {name: bus.enable for name, bus in buses.items()}
        self._enabling |= {line: timer.enable for line, timer in document.pwm.items()}
        self._notes = {name: bus.note for name, bus in buses.items() if isinstance(bus, _Bus)}

    @property
    def chips(self) -> tuple[str, ...]:
        """The labels of its GPIO chips, sorted."""
        return tuple(sorted({line.chip for line in self.lines.values()}))

    @property
    def buses(self) -> dict[str, BusAddress]:
        """The I²C buses by name."""
        return {name: BusAddress(name, bus.device) for name, bus in self._i2c.items()}

    @property
    def ports(self) -> dict[str, PortAddress]:
        """The serial ports by name."""
        return {name: PortAddress(name, port.device) for name, port in self._uart.items()}

    @property
    def selects(self) -> dict[str, SpiAddress]:
        """The chip selects of the SPI buses by name."""
        return {name: SpiAddress(name, spi.device) for name, spi in self._spi.items()}

    @property
    def onewires(self) -> dict[str, OneWireAddress]:
        """The 1-Wire buses by name."""
        return {name: OneWireAddress(name, bus.folder) for name, bus in self._onewire.items()}

    @property
    def pwm_lines(self) -> tuple[str, ...]:
        """The names of the lines that have hardware PWM."""
        return tuple(self._pwm)

    def speed_hz(self, bus: str) -> int:
        """Return the clock of an I²C bus in Hz: 100 kHz unless the board says otherwise."""
        return self._i2c[bus].speed_hz or 100_000

    def line(self, name: str) -> LineAddress:
        """Find a line by its name ("GPIO17"), header pin ("J8:11") or label.

        Raises ConfigError that says what there is instead.
        """
        resolved = self._header_pin(name) if ":" in name else self.labels.get(name, name)
        if resolved not in self.lines:
            known = [*self.lines, *self.labels]
            meant = f"GPIO{name}" if name.isdecimal() else name
            raise ConfigError(
                f'"{name}" is no line of {self.id}: a line is a name like "GPIO17", a header pin '
                f'like "J8:11", or a label; {did_you_mean(meant, known)}'
            )
        return self.lines[resolved]

    def bus(self, name: str) -> BusAddress:
        """Find an I²C bus by name. Raises ConfigError that says what there is instead."""
        if name not in self._i2c:
            raise ConfigError(
                f'"{name}" is no I²C bus of {self.id}; {did_you_mean(name, self._i2c)}'
            )
        return self.buses[name]

    def port(self, name: str) -> PortAddress:
        """Find a serial port by name, or take the path of a device file such as
        "/dev/serial/by-id/...". Raises ConfigError that says what there is instead."""
        if name.startswith("/dev/"):
            return PortAddress(name, name)
        if name not in self._uart:
            raise ConfigError(
                f'"{name}" is no serial port of {self.id}: a port is a name, or a path like '
                f'"/dev/ttyUSB0"; {did_you_mean(name, self._uart)}'
            )
        return self.ports[name]

    def pwm(self, name: str, *, software: bool) -> PwmAddress:
        """Find a line for pulses, by the names that `line` takes; see `line` for what it raises.

        Raises ConfigError too if no hardware timer can drive the line, unless `software` allows
        pulses that are made by the processor.
        """
        line = self.line(name)
        timer = self._pwm.get(line.name)
        if timer is not None:
            return PwmAddress(line, timer.controller, timer.channel)
        if software:
            return PwmAddress(line)
        there = f"lines with it: {', '.join(self._pwm)}" if self._pwm else "no line has it"
        raise ConfigError(
            f'"{name}" has no hardware PWM on {self.id}; {there}; or allow jitter with '
            "software = true"
        )

    def select(self, name: str) -> SpiAddress:
        """Find an SPI chip select. Raises ConfigError that says what there is instead."""
        if name not in self._spi:
            raise ConfigError(
                f'"{name}" is no SPI chip select of {self.id}; {did_you_mean(name, self._spi)}'
            )
        return self.selects[name]

    def onewire(self, name: str) -> OneWireAddress:
        """Find a 1-Wire bus. Raises ConfigError that says what there is instead."""
        if name not in self._onewire:
            raise ConfigError(
                f'"{name}" is no 1-Wire bus of {self.id}; {did_you_mean(name, self._onewire)}'
            )
        return self.onewires[name]

    def lines_of(self, name: str) -> list[LineAddress]:
        """Return the lines that a bus, chip select or serial port needs for itself."""
        return [self.lines[line] for line in self._taken.get(name, ())]

    def enabling(self, name: str) -> str:
        """Return what switches a bus, port or PWM line on, such as a line of config.txt; may be
        empty."""
        return self._enabling.get(name, "")

    def is_extra(self, name: str) -> bool:
        """Tell whether a bus or port is there by the user's choice only, since an overlay switches
        it on or its lines are reserved: it may take lines that another one has as well."""
        reserved = not self.reserved.keys().isdisjoint(self._taken.get(name, ()))
        return reserved or "overlay" in self.enabling(name)

    def note(self, name: str) -> str:
        """Return what the users of a bus, chip select or port have to know; may be empty."""
        return self._notes.get(name, "")

    def select_line(self, name: str) -> LineAddress | None:
        """Return the line of an SPI chip select, if the board says which it is."""
        line = self._spi[name].select
        return None if line is None else self.lines[line]

    def _header_pin(self, name: str) -> str:
        header, _, pin = name.partition(":")
        pins = self.headers.get(header)
        if pins is None:
            raise ConfigError(
                f'"{name}": {self.id} has no header "{header}"; '
                f"{did_you_mean(header, self.headers)}"
            )
        if pin not in pins:
            raise ConfigError(f'"{name}": header {header} has the pins 1 to {len(pins)}')
        if pins[pin] not in self.lines:
            raise ConfigError(f'"{name}" is {pins[pin]}, which is no GPIO line')
        return pins[pin]


def parse_board(id: str, text: str, file: str) -> Board:
    """Read a board's TOML. Raises ConfigError with every mistake found in it."""
    try:
        document = _BoardDocument.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: is not TOML: {error}") from None
    except ValidationError as error:
        known = _BoardDocument.model_fields
        raise ConfigError(*(f"{file}: {key}: {t}" for key, t in explain(error, known))) from None
    unknown = [
        f"{file}: {table}: {line!r} is no line of [gpio]"
        for table, lines in (
            ("labels", document.labels.values()),
            ("reserved", document.reserved),
            ("pwm", document.pwm),
            *((f"i2c.{n}", b.lines) for n, b in document.i2c.items()),
            *((f"uart.{n}", b.lines) for n, b in document.uart.items()),
            *((f"spi.{n}", [*b.lines, *filter(None, [b.select])]) for n, b in document.spi.items()),
            *((f"onewire.{n}", b.lines) for n, b in document.onewire.items()),
        )
        for line in lines
        if line not in document.gpio.lines
    ]
    unknown += [
        f"{file}: gpio.lines.{name}: name its chip, or one for all in gpio.chip"
        for name, line in document.gpio.lines.items()
        if isinstance(line, int) and not document.gpio.chip
    ]
    if unknown:
        raise ConfigError(*unknown)
    return Board(id, document)
