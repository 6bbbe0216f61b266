"""Claims: who uses which line, bus address, port or timer, so that nothing is used twice."""

from __future__ import annotations

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
            for need in self._needs(device, parameter, address, written.get(parameter)):
                owner = need.shared_by or f"devices.{device.id}.{need.key}"
                other = self._taken.setdefault(need.what, owner)
                if other != owner:
                    problems.append(f".{need.key}: {need.text} is already used by {other}")
                    break  # the rest follows from this one
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
        lines = [
            (line, f"{line.name} of {address.name}") for line in self.board.lines_of(address.name)
        ]
        if isinstance(address, PortAddress):
            port = _Need(address.device, address.name, key)
            return [port, *(_Need(line, text, key) for line, text in lines)]
        if isinstance(address, SpiAddress):
            needs = [_Need(address.device, address.name, key)]
            select = self.board.select_line(address.name)
            if select is not None:
                needs.append(_Need(select, f"{select.name} of {address.name}", key))
            bus = f"the bus {address.name.partition('.')[0]}"
            return needs + [_Need(line, text, key, bus) for line, text in lines]
        bus = f"the bus {address.name}"
        needs = [_Need(line, text, key, bus) for line, text in lines]
        if isinstance(address, OneWireAddress):
            rom = device.settings.get("rom")
            return [*needs, _Need((address, rom), f"{rom or 'the chip'} on {address.name}", "rom")]
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
