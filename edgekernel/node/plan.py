"""The plan of a node: every name of the node file resolved, every conflict found.

Making a plan touches no hardware.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from edgekernel.core.device import Device
from edgekernel.core.errors import ConfigError
from edgekernel.hal.address import ProvidedLine
from edgekernel.hal.gpio import DigitalInput, DigitalOutput, PwmOutput
from edgekernel.hal.i2c import I2CBus
from edgekernel.hal.onewire import OneWireBus
from edgekernel.hal.serial import SerialPort
from edgekernel.hal.spi import SpiDevice
from edgekernel.node.board import Board
from edgekernel.node.buses import name_clashes
from edgekernel.node.claims import Claims
from edgekernel.node.document import DeviceTable, NodeDocument, ReadingTable, load_valid_part
from edgekernel.node.outbox_table import OutboxPlace
from edgekernel.node.outputs import check_outputs
from edgekernel.node.packs import find_board, load_board, load_driver
from edgekernel.node.planned import Address, PlannedDevice
from edgekernel.node.problems import did_you_mean, explain
from edgekernel.node.recovery import PlannedRecovery, plan_recovery
from edgekernel.node.roles import unknown_principals
from edgekernel.node.signature import durations_of, model_of, parameters_of
from edgekernel.node.tuning import declared_types

_BOUNDARIES: tuple[type, ...] = (
    DigitalInput,
    DigitalOutput,
    PwmOutput,
    I2CBus,
    SerialPort,
    SpiDevice,
    OneWireBus,
)
_MANY = 1000
"""More than a board has lines."""
_DEVICE_TREE = Path("/proc/device-tree/compatible")


@dataclass(frozen=True, slots=True)
class Plan:
    """A node file that can be run."""

    path: Path
    document: NodeDocument
    board: Board
    devices: tuple[PlannedDevice, ...]
    recoveries: Mapping[str, PlannedRecovery] = field(default_factory=dict)
    """How a bus is freed that is stuck, by its name."""

    @property
    def name(self) -> str:
        """The node's name."""
        return self.document.node.name

    def speed_hz(self, bus: str) -> int:
        """Return the clock of an I²C bus in Hz: that of `[buses]`, or of the board."""
        told = self.document.buses.get(bus)
        speed_hz = None if told is None else told.speed_hz
        return self.board.speed_hz(bus) if speed_hz is None else speed_hz

    @property
    def folder(self) -> Path:
        """The folder of the node file, in which the application's modules are found."""
        return self.path.parent

    @property
    def data(self) -> Path | None:
        """The folder for what the node is to know after a restart, if it has one."""
        data = self.document.node.data
        return None if data is None else self.folder / data

    @property
    def outbox(self) -> OutboxPlace | None:
        """Where events wait for the broker; None without one, or without a folder for it."""
        mqtt, data = self.document.mqtt, self.data
        if mqtt is None or data is None:
            return None
        return OutboxPlace(data / mqtt.outbox.file, mqtt.outbox)


def boundary_parameters(driver: type[Device]) -> dict[str, type]:
    """Return which constructor parameters of a driver take a boundary, and of which kind.

    One that is declared as "a boundary or None" may be left out.
    """
    hints = typing.get_type_hints(driver.__init__, include_extras=True)
    return {
        name: kind
        for name, hint in hints.items()
        for kind in (hint, *typing.get_args(hint))
        if kind in _BOUNDARIES
    }


def settings_model(driver: type[Device], boundaries: Mapping[str, type]) -> type[BaseModel]:
    """Return the model of a driver's settings, in which a boundary is the name of one, and seconds
    may be written as a duration."""
    optional = {
        name
        for name, (_, parameter) in parameters_of(driver.__init__).items()
        if parameter.default is None
    }
    names = {name: str | None if name in optional else str for name in boundaries}
    return model_of(driver.__init__, {**durations_of(driver.__init__), **names})


def make_plan(path: Path, environ: Mapping[str, str] | None = None) -> Plan:
    """Read, validate and resolve a node file, with what an environment says in its place.

    Raises ConfigError with every mistake found: each names the file, the key, the value and
    what is allowed.
    """
    document, problems = load_valid_part(path, environ)
    if document is None:
        raise ConfigError(*problems)
    try:
        plan = plan_document(document, path)
    except ConfigError as error:
        raise ConfigError(*problems, *error.problems) from None
    if problems:
        raise ConfigError(*problems)
    return plan


def plan_document(document: NodeDocument, path: Path) -> Plan:
    """Resolve a node file that has been read; see `make_plan`."""
    file = path.name
    try:
        board = _board(document.node.board)
    except ConfigError as error:
        raise ConfigError(f"{file}: node.board: {error}") from None
    problems = [
        f'{file}: buses.{name}: "{name}" is no I²C bus of {board.id}; '
        f"{did_you_mean(name, board.buses)}"
        for name in document.buses
        if name not in board.buses
    ]
    if document.mqtt is not None and document.mqtt.remote_config and document.node.data is None:
        problems.append(
            f"{file}: mqtt.remote_config: needs node.data, the folder in which the node keeps what "
            'was applied, such as "/var/lib/edgekernel"'
        )
    claims = Claims(board)
    devices: list[PlannedDevice] = []
    for id, table in document.devices.items():
        try:
            device = _plan_device(id, table, board, document)
            claims.take(device, table.settings)
            devices.append(device)
        except ConfigError as error:
            problems += [f"{file}: devices.{id}{problem}" for problem in error.problems]
    recoveries: dict[str, PlannedRecovery] = {}
    for name in board.buses:
        try:
            recoveries |= plan_recovery(name, board, document, claims)
        except ConfigError as error:
            problems += [f"{file}: buses.{name}.recovery{problem}" for problem in error.problems]
    problems += [f"{file}: {problem}" for problem in _loops(devices)]
    problems += [f"{file}: {problem}" for problem in name_clashes(devices)]
    problems += [f"{file}: {problem}" for problem in unknown_principals(document)]
    if problems:
        raise ConfigError(*problems)
    return Plan(path, document, board, tuple(devices), recoveries)


def _loops(devices: Sequence[PlannedDevice]) -> Iterator[str]:
    """Say which devices need lines of one another, so that none can be the first."""
    try:
        TopologicalSorter({device.id: device.providers for device in devices}).prepare()
    except CycleError as error:
        yield f"devices.{error.args[1][0]}: needs its own lines: {' -> '.join(error.args[1])}"


def _board(name: str) -> Board:
    return find_this_board() if name == "auto" else load_board(name)


def find_this_board() -> Board:
    """Return the board that this computer is, by its device tree. Raises ConfigError."""
    try:
        compatible = _DEVICE_TREE.read_bytes().decode().rstrip("\0").split("\0")
    except OSError:
        compatible = []
    return find_board(tuple(compatible))


def _plan_device(
    id: str, table: DeviceTable, board: Board, document: NodeDocument
) -> PlannedDevice:
    """Find the driver and check the settings; problems begin with the key behind the device."""
    try:
        driver = load_driver(table.driver)
    except ConfigError as error:
        raise ConfigError(*(f".driver: {problem}" for problem in error.problems)) from None
    boundaries = boundary_parameters(driver)
    model = settings_model(driver, boundaries)
    problems = [*_misplaced(table, driver, model), *check_outputs(id, driver, document)]
    written = table.settings
    if "readings" in model.model_fields:
        written["readings"] = {name: each.settings for name, each in table.readings.items()}
    if "outputs" in model.model_fields:
        written["outputs"] = {name: each.settings for name, each in table.outputs.items()}
    try:
        values = model.model_validate(written)
    except ValidationError as error:
        known = list(dict.fromkeys([*model.model_fields, *DeviceTable.model_fields]))
        found = (
            f".{key}: {text}{_meant(board, boundaries.get(key), written.get(key))}"
            for key, text in explain(error, known)
        )
        raise ConfigError(*found, *problems) from None
    settings = {name: getattr(values, name) for name in model.model_fields}
    addresses: dict[str, Address] = {}
    for parameter, kind in boundaries.items():
        name = settings.pop(parameter)
        if name is None:
            continue  # left out, as the driver allows
        try:
            addresses[parameter] = _address(board, kind, name, settings, document)
        except ConfigError as error:
            problems.append(f".{parameter}: {error}")
    if problems:
        raise ConfigError(*problems)
    limits = {name: written.limits for name, written in table.outputs.items()}
    return PlannedDevice(
        id, driver, settings, boundaries, addresses, table.every, table.optional, table.tuning,
        limits, {name: each.role for name, each in table.outputs.items() if each.role},
    )  # fmt: skip


def _meant(board: Board, kind: type | None, written: object) -> str:
    """Return which line is meant by a number, for the end of an error text."""
    if kind not in (DigitalInput, DigitalOutput, PwmOutput) or type(written) is not int:
        return ""
    name = f"GPIO{written}" if 0 <= written < _MANY else ""
    return f'; did you mean "{name}"?' if name in board.lines else ""


def _misplaced(table: DeviceTable, driver: type[Device], model: type[BaseModel]) -> list[str]:
    """Return what is said of readings that the driver does not have, or that do not fit it."""
    if "readings" in model.model_fields:  # they are made from settings: known when it is made
        return []
    problems = [
        f".readings.{name}.{key}: unknown key; {did_you_mean(key, ReadingTable.model_fields)}"
        for name, each in table.readings.items()
        for key in each.settings
    ]
    try:
        table.tuning.check(table.driver, declared_types(driver))
    except ConfigError as error:
        problems += error.problems
    return problems


def _address(
    board: Board, kind: type, name: str, settings: Mapping[str, Any], document: NodeDocument
) -> Address:
    if kind is I2CBus:
        return board.bus(name)
    if kind is SerialPort:
        return board.port(name)
    if kind is SpiDevice:
        return board.select(name)
    if kind is OneWireBus:
        return board.onewire(name)
    provider, _, provided = name.partition(":")
    if provider in document.devices:
        return _provided(document.devices[provider].driver, kind, provider, provided)
    providers = [id for id, each in document.devices.items() if _line_names(each.driver)]
    if provided and provider not in board.headers and providers:
        there = did_you_mean(provider, [*board.headers, *providers])
        raise ConfigError(
            f'"{name}": there is no header and no device with lines "{provider}"; {there}'
        )
    line = board.line(name)
    if line.name in board.reserved:
        raise ConfigError(f'"{name}" is reserved on {board.id}: {board.reserved[line.name]}')
    if kind is PwmOutput:
        return board.pwm(name, software=bool(settings.get("software", True)))
    return line


def _provided(driver: str, kind: type, provider: str, line: str) -> ProvidedLine:
    """Find a line of another device. Raises ConfigError that says what there is instead."""
    name = f'"{provider}:{line}"'
    names = _line_names(driver)
    if names is None:
        return ProvidedLine(provider, line)  # what is wrong is told at the provider
    if not names:
        raise ConfigError(f"{name}: the device {provider} ({driver}) has no lines of its own")
    if line not in names:
        raise ConfigError(f"{name}: {provider} has no line {line!r}; {did_you_mean(line, names)}")
    no_input: Mapping[str, str] = getattr(load_driver(driver), "output_only", {})
    if kind is DigitalInput and line in no_input:
        inputs = [each for each in names if each not in no_input]
        raise ConfigError(
            f"{name}: {line} is no input: {no_input[line]}; take another line, such as "
            f'"{provider}:{inputs[0]}"'
        )
    if kind is PwmOutput:
        raise ConfigError(f"{name}: a line of {provider} is switched on and off; it has no PWM")
    return ProvidedLine(provider, line)


def _line_names(driver: str) -> tuple[str, ...] | None:
    """Return which lines devices with a driver provide; None if there is no such driver."""
    try:
        found: tuple[str, ...] = getattr(load_driver(driver), "line_names", ())
    except ConfigError:
        return None
    return found
