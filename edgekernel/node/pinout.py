"""The pinout of a board: what each header pin is, what it can be, and who uses it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from edgekernel.hal.address import LineAddress, ProvidedLine, PwmAddress
from edgekernel.node.board import Board
from edgekernel.node.plan import Plan
from edgekernel.node.planned import PlannedDevice

_SUPPLY = re.compile(r"\d+V\d*")

Kind = Literal["line", "supply", "ground", "other"]


@dataclass(frozen=True, slots=True)
class Pin:
    """One pin of a header."""

    number: int
    name: str
    """The line, or what it is instead: "3V3", "GND", "ADC0", "NC"."""
    kind: Kind
    functions: tuple[str, ...] = ()
    """Its labels, the buses that need it, and its channel of a PWM timer."""
    reserved: str = ""
    """Why nobody should use it."""
    used_by: tuple[str, ...] = ()
    """Who uses it, itself or as a part of a bus: device id and parameter, such as "fan.pin"."""


@dataclass(frozen=True, slots=True)
class Bus:
    """A bus, chip select or serial port of a board."""

    name: str
    kind: Literal["i2c", "uart", "spi", "onewire"]
    device: str
    """Its device file; of a 1-Wire bus the folder of its chips."""
    lines: tuple[str, ...]
    """The lines that it needs for itself, the chip select last."""
    enable: str = ""
    """How it is switched on."""
    speed_hz: int | None = None
    """The clock of an I²C bus."""
    users: tuple[str, ...] = ()
    """The devices on it, each with its address if it has one."""
    note: str = ""
    """What its users have to know."""


def headers(board: Board, plan: Plan | None = None) -> dict[str, tuple[Pin, ...]]:
    """Return the pins of each header of a board, with the users that a plan has for them.

    See `buses` for what a plan leaves out.
    """
    functions = _functions(board, plan)
    used = {} if plan is None else _used(board, plan)
    return {
        header: tuple(
            Pin(
                int(number),
                name,
                _kind(board, name),
                tuple(functions.get(name, ())),
                board.reserved.get(name, ""),
                tuple(used.get(name, ())),
            )
            for number, name in pins.items()
        )
        for header, pins in board.headers.items()
    }


def buses(board: Board, plan: Plan | None = None) -> tuple[Bus, ...]:
    """Return what a board has beside single lines, and the ports that only the plan has.

    Of the buses that are there by choice a plan has those that it uses.
    """
    kinds: dict[Literal["i2c", "uart", "spi", "onewire"], dict[str, str]] = {
        "i2c": {name: bus.device for name, bus in board.buses.items()},
        "spi": {name: select.device for name, select in board.selects.items()},
        "onewire": {name: bus.folder for name, bus in board.onewires.items()},
        "uart": {name: port.device for name, port in board.ports.items()},
    }
    users = {} if plan is None else _users(plan)
    known = {name for devices in kinds.values() for name in devices}
    kinds["uart"] |= {name: name for name in users if name not in known}
    return tuple(
        Bus(
            name,
            kind,
            device,
            _lines(board, name),
            board.enabling(name),
            (plan or board).speed_hz(name) if kind == "i2c" else None,
            tuple(users.get(name, ())),
            board.note(name),
        )
        for kind, devices in kinds.items()
        for name, device in devices.items()
        if plan is None or name in users or not board.is_extra(name)
    )


def _kind(board: Board, name: str) -> Kind:
    if name in board.lines:
        return "line"
    if name == "GND":
        return "ground"
    return "supply" if _SUPPLY.fullmatch(name) else "other"


def _lines(board: Board, bus: str) -> tuple[str, ...]:
    lines = [line.name for line in board.lines_of(bus)]
    if bus in board.selects and (select := board.select_line(bus)) is not None:
        lines.append(select.name)
    return tuple(lines)


def _functions(board: Board, plan: Plan | None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for label, line in board.labels.items():
        found.setdefault(line, []).append(label)
    # What is there by choice comes after what is there without it.
    for bus in sorted(buses(board, plan), key=lambda bus: board.is_extra(bus.name)):
        # All chips of an SPI bus share three lines, which are those of the bus.
        shared = bus.name.partition(".")[0] if bus.kind == "spi" else bus.name
        select = board.select_line(bus.name) if bus.kind == "spi" else None
        for line in bus.lines:
            name = bus.name if select is not None and line == select.name else shared
            if name not in found.setdefault(line, []):
                found[line].append(name)
    timers = {line: board.pwm(line, software=False) for line in board.pwm_lines}
    several = len({timer.controller for timer in timers.values()}) > 1
    for line, timer in timers.items():
        # The channel alone says which lines share one, unless there is more than one controller.
        found.setdefault(line, []).append("pwm" if several else f"pwm ch{timer.channel}")
    return found


def _used(board: Board, plan: Plan) -> dict[str, list[str]]:
    """Return the users of each line, by its name."""
    used: dict[str, list[str]] = {}
    for device in plan.devices:
        for parameter, address in device.addresses.items():
            if isinstance(address, LineAddress | PwmAddress):
                lines: tuple[str, ...] = (address.name,)
            else:
                lines = _lines(board, address.name)
            for line in lines:
                used.setdefault(line, []).append(f"{device.id}.{parameter}")
    for bus, recovery in plan.recoveries.items():
        for key, address in recovery.lines.items():
            used.setdefault(address.name, []).append(f"{bus}.recovery.{key}")
    return used


def _users(plan: Plan) -> dict[str, list[str]]:
    """Return the devices on each bus and port, by its name."""
    users: dict[str, list[str]] = {}
    for device in plan.devices:
        for address in device.addresses.values():
            if not isinstance(address, LineAddress | PwmAddress | ProvidedLine):
                users.setdefault(address.name, []).append(f"{device.id}{_chip(device)}")
    return users


def _chip(device: PlannedDevice) -> str:
    """Return which chip on its bus a device is, after a space; nothing if it is the only one."""
    chip = device.settings.get("address", device.settings.get("rom"))
    if isinstance(chip, int):
        return f" {chip:#04x}"
    return f" {chip}" if chip else ""
