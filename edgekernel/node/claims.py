"""Claims: who uses which line, bus address, port or timer, so that nothing is used twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from edgekernel.core.errors import ConfigError
from edgekernel.hal.address import (
    LineAddress,
    OneWireAddress,
    PortAddress,
    ProvidedLine,
    PwmAddress,
    SpiAddress,
)
from edgekernel.node.board import Board
from edgekernel.node.planned import Address, PlannedDevice


@dataclass
class Claims:
    """Who uses what, so that nothing is used twice."""

    board: Board
    _taken: dict[object, str] = field(default_factory=dict)
    _chips: dict[str, dict[str, object]] = field(default_factory=dict)
    """By 1-Wire bus, the ROM code that each device names."""

    def take(self, device: PlannedDevice, written: dict[str, Any]) -> None:
        """Note what a device uses; raise ConfigError for what another one has.

        `written` holds its settings as they stand in the node file.
        """
        problems: list[str] = []
        for parameter, address in device.addresses.items():
            if isinstance(address, OneWireAddress) and (problem := self._unnamed(device, address)):
                problems.append(problem)
                continue
            needs = self._needs(device, parameter, address, written.get(parameter))
            owned = {need.what: need.owner(device.id) for need in needs}
            taken = [(n, other) for n in needs if (other := self._taken.get(n.what)) is not None]
            others = [(need, other) for need, other in taken if other != owned[need.what]]
            if others:
                problems.append(_conflict(others))
            else:
                self._taken |= owned
        if problems:
            raise ConfigError(*problems)

    def take_line(self, line: LineAddress, written: str, owner: str) -> str:
        """Note that a line is used; return what is wrong with that, or nothing.

        `written` is the line as it stands in the node file, `owner` the key.
        """
        other = self._taken.setdefault(line, owner)
        if other == owner:
            return ""
        shown = line.name if written == line.name else f'"{written}" ({line.name})'
        return f"{shown} is already used by {other}"

    def _unnamed(self, device: PlannedDevice, bus: OneWireAddress) -> str:
        """Say which chip has no ROM code, on a bus with more than one."""
        others = self._chips.setdefault(bus.name, {})
        rom = device.settings.get("rom")
        found = next((id for id, other in others.items() if rom is None or other is None), None)
        others[device.id] = rom
        if found is None:
            return ""
        which = "" if rom is None else f" for devices.{found}"
        return (
            f".rom: is missing{which}: {device.id} and {found} are both on {bus.name}, so each "
            "needs the ROM code of its chip"
        )

    def _needs(
        self, device: PlannedDevice, key: str, address: Address, written: object
    ) -> list[_Need]:
        """Return what a boundary takes."""
        if isinstance(address, ProvidedLine):
            return [_Need(address, address.name, key)]
        if isinstance(address, LineAddress | PwmAddress):
            line = address.line if isinstance(address, PwmAddress) else address
            name = address.name
            needs = [_Need(line, name if written == name else f'"{written}" ({name})', key)]
            if isinstance(address, PwmAddress) and address.controller:
                timer = (address.controller, address.channel)
                needs.append(_Need(timer, f"the PWM timer of {name}", key))
            return needs
        lines = self.board.lines_of(address.name)
        if isinstance(address, PortAddress):
            port = _Need(address.device, address.name, key)
            return [port, *(_Need(line, line.name, key, address.name) for line in lines)]
        if isinstance(address, SpiAddress):
            needs = [_Need(address.device, address.name, key)]
            select = self.board.select_line(address.name)
            if select is not None:
                needs.append(_Need(select, select.name, key, address.name))
            bus = f"the bus {address.name.partition('.')[0]}"
            return needs + [_Need(line, line.name, key, address.name, bus) for line in lines]
        bus = f"the bus {address.name}"
        needs = [_Need(line, line.name, key, address.name, bus) for line in lines]
        if isinstance(address, OneWireAddress):
            rom = device.settings.get("rom")
            return [*needs, _Need((address, rom), f"{rom or 'the chip'} on {address.name}", "rom")]
        chip = device.settings.get("address")
        if isinstance(chip, int):
            needs.append(_Need((address, chip), f"{chip:#04x} on {address.name}", "address"))
        return needs


@dataclass(frozen=True, slots=True)
class _Need:
    """One thing that only one can have: what, in words, by which key, as a part of which bus or
    port, or by whom together."""

    what: object
    text: str
    key: str
    part_of: str = ""
    shared_by: str = ""

    def owner(self, device: str) -> str:
        """Say who has it, if the device has."""
        of = f" ({self.part_of})" if self.part_of else ""
        return self.shared_by or f"devices.{device}.{self.key}{of}"


def _conflict(taken: list[tuple[_Need, str]]) -> str:
    """Say what of a boundary others have: all the lines of a bus, else what is first, since the
    rest follows from it."""
    need, other = taken[0]
    if not need.part_of:
        return f".{need.key}: {need.text} is already used by {other}"
    lines = _all(each.text for each, _ in taken)
    verb = "is" if len(taken) == 1 else "are"
    others = _all(other for _, other in taken)
    return f".{need.key}: {lines} of {need.part_of} {verb} already used by {others}"


def _all(names: Iterable[str]) -> str:
    """Return names as they are listed in a sentence, each once."""
    *most, last = dict.fromkeys(names)
    return f"{', '.join(most)} and {last}" if most else last
