"""Boards: which lines, buses and ports a computer has and what people call them."""

from __future__ import annotations

import tomllib

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgekernel.core.errors import ConfigError
from edgekernel.hal.address import BusAddress, LineAddress, PortAddress
from edgekernel.node.problems import did_you_mean, explain


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Gpio(_Table):
    chip: str
    lines: dict[str, int]


class _Bus(_Table):
    device: str
    lines: list[str] = Field(default_factory=list)


class _BoardDocument(_Table):
    name: str
    compatible: list[str]
    source: str
    gpio: _Gpio
    headers: dict[str, dict[str, str]] = Field(default_factory=dict)
    i2c: dict[str, _Bus] = Field(default_factory=dict)
    uart: dict[str, _Bus] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    reserved: dict[str, str] = Field(default_factory=dict)


class Board:
    """One board, from its file."""

    def __init__(self, id: str, document: _BoardDocument) -> None:
        self.id = id
        self.name = document.name
        self.compatible = tuple(document.compatible)
        self.source = document.source
        self.chip = document.gpio.chip
        self.labels = document.labels
        self.reserved = document.reserved
        self.headers = document.headers
        self._lines = document.gpio.lines
        self._i2c = document.i2c
        self._uart = document.uart

    @property
    def lines(self) -> dict[str, LineAddress]:
        """The GPIO lines by name."""
        return {name: LineAddress(name, self.chip, n) for name, n in self._lines.items()}

    @property
    def buses(self) -> dict[str, BusAddress]:
        """The I²C buses by name."""
        return {name: BusAddress(name, bus.device) for name, bus in self._i2c.items()}

    @property
    def ports(self) -> dict[str, PortAddress]:
        """The serial ports by name."""
        return {name: PortAddress(name, port.device) for name, port in self._uart.items()}

    def line(self, name: str) -> LineAddress:
        """Find a line by its name ("GPIO17"), header pin ("J8:11") or label.

        Raises ConfigError that says what there is instead.
        """
        resolved = self._header_pin(name) if ":" in name else self.labels.get(name, name)
        if resolved not in self._lines:
            known = [*self._lines, *self.labels]
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

    def lines_of(self, name: str) -> list[LineAddress]:
        """Return the lines that a bus or serial port needs for itself."""
        taken = self._i2c.get(name) or self._uart.get(name)
        return [self.lines[line] for line in taken.lines] if taken else []

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
        if pins[pin] not in self._lines:
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
    board = Board(id, document)
    unknown = [
        f"{file}: {table}: {line!r} is no line of [gpio]"
        for table, lines in (
            ("labels", document.labels.values()),
            ("reserved", document.reserved),
            *((f"i2c.{n}", b.lines) for n, b in document.i2c.items()),
            *((f"uart.{n}", b.lines) for n, b in document.uart.items()),
        )
        for line in lines
        if line not in document.gpio.lines
    ]
    if unknown:
        raise ConfigError(*unknown)
    return board
