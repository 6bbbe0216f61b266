"""The plan of a node: every name of the node file resolved, every conflict found.

Making a plan touches no hardware.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgekernel.core.device import Device
from edgekernel.core.errors import ConfigError
from edgekernel.hal.address import BusAddress, LineAddress, PortAddress
from edgekernel.hal.gpio import DigitalInput, DigitalOutput
from edgekernel.hal.i2c import I2CBus
from edgekernel.hal.serial import SerialPort
from edgekernel.node.board import Board
from edgekernel.node.buses import name_clashes
from edgekernel.node.document import DeviceTable, NodeDocument, load_valid_part
from edgekernel.node.packs import find_board, load_board, load_driver
from edgekernel.node.problems import explain
from edgekernel.node.signature import model_of

Address = LineAddress | BusAddress | PortAddress

_BOUNDARIES: tuple[type, ...] = (DigitalInput, DigitalOutput, I2CBus, SerialPort)
_DEVICE_TREE = Path("/proc/device-tree/compatible")


@dataclass(frozen=True, slots=True)
class PlannedDevice:
    """One device of the node file, with its driver found and its settings checked."""

    id: str
    driver: type[Device]
    settings: dict[str, Any]
    kinds: dict[str, type]
    """The boundary protocol of each parameter that takes one."""
    addresses: dict[str, Address]
    """Where each of those boundaries is on the board."""
    every_s: float | None
    optional: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A node file that can be run."""

    path: Path
    document: NodeDocument
    board: Board
    devices: tuple[PlannedDevice, ...]

    @property
    def name(self) -> str:
        """The node's name."""
        return self.document.node.name

    @property
    def folder(self) -> Path:
        """The folder of the node file, in which the application's modules are found."""
        return self.path.parent


def boundary_parameters(driver: type[Device]) -> dict[str, type]:
    """Return which constructor parameters of a driver take a boundary, and of which kind."""
    hints = typing.get_type_hints(driver.__init__, include_extras=True)
    return {name: kind for name, kind in hints.items() if kind in _BOUNDARIES}


def make_plan(path: Path) -> Plan:
    """Read, validate and resolve a node file.

    Raises ConfigError with every mistake found: each names the file, the key, the value and
    what is allowed.
    """
    document, problems = load_valid_part(path)
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
    problems: list[str] = []
    claims = _Claims(board)
    devices: list[PlannedDevice] = []
    for id, table in document.devices.items():
        try:
            device = _plan_device(id, table, board)
            claims.take(device, table.settings)
            devices.append(device)
        except ConfigError as error:
            problems += [f"{file}: devices.{id}{problem}" for problem in error.problems]
    problems += [f"{file}: {problem}" for problem in name_clashes(devices)]
    if problems:
        raise ConfigError(*problems)
    return Plan(path, document, board, tuple(devices))


def _board(name: str) -> Board:
    if name != "auto":
        return load_board(name)
    try:
        compatible = _DEVICE_TREE.read_bytes().decode().rstrip("\0").split("\0")
    except OSError:
        compatible = []
    return find_board(tuple(compatible))


def _plan_device(id: str, table: DeviceTable, board: Board) -> PlannedDevice:
    """Find the driver and check the settings; problems begin with the key behind the device."""
    try:
        driver = load_driver(table.driver)
    except ConfigError as error:
        raise ConfigError(*(f".driver: {problem}" for problem in error.problems)) from None
    boundaries = boundary_parameters(driver)
    model = model_of(driver.__init__, dict.fromkeys(boundaries, str))
    try:
        values = model.model_validate(table.settings)
    except ValidationError as error:
        known = [*model.model_fields, "driver", "every", "optional"]
        raise ConfigError(*(f".{key}: {text}" for key, text in explain(error, known))) from None
    settings = {name: getattr(values, name) for name in model.model_fields}
    problems: list[str] = []
    addresses: dict[str, Address] = {}
    for parameter, kind in boundaries.items():
        try:
            addresses[parameter] = _address(board, kind, settings.pop(parameter))
        except ConfigError as error:
            problems.append(f".{parameter}: {error}")
    if problems:
        raise ConfigError(*problems)
    return PlannedDevice(id, driver, settings, boundaries, addresses, table.every, table.optional)


def _address(board: Board, kind: type, name: str) -> Address:
    if kind is I2CBus:
        return board.bus(name)
    if kind is SerialPort:
        return board.port(name)
    line = board.line(name)
    if line.name in board.reserved:
        raise ConfigError(f'"{name}" is reserved on {board.id}: {board.reserved[line.name]}')
    return line


@dataclass
class _Claims:
    """Who uses what, so that nothing is used twice."""

    board: Board
    _taken: dict[object, str] = field(default_factory=dict)

    def take(self, device: PlannedDevice, written: dict[str, Any]) -> None:
        """Note what a device uses; raise ConfigError for what another one has.

        `written` holds its settings as they stand in the node file.
        """
        problems: list[str] = []
        for parameter, address in device.addresses.items():
            for need in self._needs(device, parameter, address, written.get(parameter)):
                owner = need.shared_by or f"devices.{device.id}.{need.key}"
                other = self._taken.setdefault(need.what, owner)
                if other != owner:
                    problems.append(f".{need.key}: {need.text} is already used by {other}")
                    break  # the rest follows from this one
        if problems:
            raise ConfigError(*problems)

    def _needs(
        self, device: PlannedDevice, key: str, address: Address, written: object
    ) -> list[_Need]:
        """Return what a boundary takes."""
        if isinstance(address, LineAddress):
            name = address.name
            return [_Need(address, name if written == name else f'"{written}" ({name})', key)]
        lines = [
            (line, f"{line.name} of {address.name}") for line in self.board.lines_of(address.name)
        ]
        if isinstance(address, PortAddress):
            port = _Need(address.device, address.name, key)
            return [port, *(_Need(line, text, key) for line, text in lines)]
        bus = f"the bus {address.name}"
        needs = [_Need(line, text, key, bus) for line, text in lines]
        chip = device.settings.get("address")
        if isinstance(chip, int):
            needs.append(_Need((address, chip), f"{chip:#04x} on {address.name}", "address"))
        return needs


@dataclass(frozen=True, slots=True)
class _Need:
    """One thing that only one can have: what, in words, by which key, or by whom together."""

    what: object
    text: str
    key: str
    shared_by: str = ""
