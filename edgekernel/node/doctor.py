"""The examination of a computer: does it have what a node needs, and what mends what is missing?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec

from edgekernel.backends.linux.gpio import Chips
from edgekernel.core.errors import BrokenError, ConfigError
from edgekernel.hal.address import (
    BusAddress,
    LineAddress,
    OneWireAddress,
    PortAddress,
    PwmAddress,
    SpiAddress,
)
from edgekernel.node.board import Board
from edgekernel.node.machine import Machine
from edgekernel.node.packs import find_board
from edgekernel.node.plan import Plan
from edgekernel.node.planned import Address

_CONFIG_TXT = "config.txt: "
"""How a board file begins what belongs into the Raspberry Pi's config.txt."""


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what to do if it is not right."""

    level: Level
    subject: str
    text: str
    fix: str = ""


def examine(machine: Machine, board: Board | None, plan: Plan | None) -> list[Finding]:
    """Look at everything that the plan needs; without a plan at what the board offers.

    `board` is the one that the user has named; without it the device tree tells.
    """
    found = [*_user(machine)]
    known = plan.board if plan is not None else board
    found += _board(machine, known)
    if known is None:
        try:
            known = find_board(machine.compatible)
        except ConfigError:
            return found
    if plan is None:
        found += _offered(machine, known)
    else:
        used = [each for device in plan.devices for each in device.addresses.values()]
        found += _needs(machine, known, used, must=True)
    return found


def _user(machine: Machine) -> Iterator[Finding]:
    if machine.uid == 0:
        yield Finding(
            Level.WARNING,
            "user",
            "root: a fault in an application can reach everything",
            "run the agent as a user of its own, in the groups gpio, i2c, spi and dialout",
        )
    else:
        yield Finding(Level.OK, "user", machine.user)


def _board(machine: Machine, expected: Board | None) -> Iterator[Finding]:
    try:
        this = find_board(machine.compatible)
    except ConfigError:
        level = Level.ERROR if expected is None else Level.WARNING
        tree = ", ".join(machine.compatible) or "no device tree"
        text = f"this computer is no board that is known here ({tree})"
        yield Finding(level, "board", text, "`edgekernel boards` lists them: name one with --board")
        return
    if expected is not None and expected.id != this.id:
        yield Finding(
            Level.ERROR,
            "board",
            f"this computer is {this.id} ({this.name}), the node file is for {expected.id}",
            f'write board = "{this.id}", and look at every pin with edgekernel board show',
        )
    else:
        yield Finding(Level.OK, "board", f"{this.id} ({this.name})")


def _offered(machine: Machine, board: Board) -> Iterator[Finding]:
    """Look at what a board offers; buses that are there by choice may be off."""
    ports: list[BusAddress | PortAddress | SpiAddress | OneWireAddress] = []
    ports += [*board.buses.values(), *board.ports.values(), *board.selects.values()]
    ports += board.onewires.values()
    off = [each for each in ports if board.is_extra(each.name) and not is_there(machine, each)]
    offered = [each for each in ports if each not in off]
    yield from _needs(machine, board, [*board.lines.values(), *offered], must=False)
    if off:
        text = f"off: {', '.join(each.name for each in off)}"
        fix = f"edgekernel board show {board.id} says what switches each of them on"
        yield Finding(Level.OK, "further buses", text, fix)


def is_there(
    machine: Machine, address: BusAddress | PortAddress | SpiAddress | OneWireAddress
) -> bool:
    """Tell whether the device file of a bus or port exists, or the folder of a 1-Wire bus."""
    place = address.folder if isinstance(address, OneWireAddress) else address.device
    return machine.exists(place)


def _needs(
    machine: Machine, board: Board, addresses: Sequence[Address], *, must: bool
) -> Iterator[Finding]:
    lines: dict[str, None] = {}
    looked_at = set()
    for address in addresses:
        match address:
            case LineAddress() | PwmAddress():
                line = address.line if isinstance(address, PwmAddress) else address
                lines[line.chip] = None
            case BusAddress() | PortAddress() | SpiAddress() if address.device not in looked_at:
                looked_at.add(address.device)
                enabling = board.enabling(address.name)
                yield _file(machine, address.name, address.device, enabling, must)
                if isinstance(address, PortAddress):
                    yield from _console(machine, address)
            case OneWireAddress() if address.folder not in looked_at:
                looked_at.add(address.folder)
                yield _folder(machine, board, address, must)
            case _:
                pass
    if lines:
        yield from _chips(machine, list(lines))
    if any(isinstance(address, SpiAddress) for address in addresses):
        yield from _spidev(must)


def _file(machine: Machine, name: str, device: str, enabling: str, must: bool) -> Finding:
    subject = name if name == device else f"{name} ({device})"
    if not machine.exists(device):
        level = Level.ERROR if must else Level.WARNING
        return Finding(level, subject, "not there", _enable(machine, enabling))
    if machine.may_use(device):
        return Finding(Level.OK, subject, "there, and this user may use it")
    return _forbidden(machine, subject, device)


def _forbidden(machine: Machine, subject: str, device: str) -> Finding:
    group = machine.group_of(device)
    if machine.is_member(group):
        fix = f"{machine.user} is in the group {group} since the last login: log in again"
    else:
        fix = f"sudo usermod -aG {group} {machine.user}, then log in again"
    return Finding(Level.ERROR, subject, f"{machine.user} may not use it", fix)


def _enable(machine: Machine, enabling: str) -> str:
    """Say how a bus is switched on; `enabling` is what the board file says of it."""
    line = enabling.removeprefix(_CONFIG_TXT)
    config = machine.boot_config
    if not enabling:
        return "plug it in, or switch it on as the board's documentation says"
    if line == enabling or not config:
        return enabling
    if re.search(rf"^\s*{re.escape(line)}\s*$", machine.read(config), re.MULTILINE):
        return f"{line} stands in {config}: reboot, and look at dmesg"
    return f"put {line} into {config} and reboot"


def _folder(machine: Machine, board: Board, bus: OneWireAddress, must: bool) -> Finding:
    subject = f"{bus.name} ({bus.folder})"
    if machine.exists(bus.folder):
        return Finding(Level.OK, subject, "there")
    level = Level.ERROR if must else Level.WARNING
    return Finding(level, subject, "not there", _enable(machine, board.enabling(bus.name)))


def _console(machine: Machine, port: PortAddress) -> Iterator[Finding]:
    """Find a login on the port: it answers to what the device sends."""
    real = machine.path(port.device).resolve().name
    consoles = re.findall(r"\bconsole=([a-zA-Z]+\d+)", machine.read("/proc/cmdline"))
    aliases = {real, port.device.rpartition("/")[2]}
    if aliases.intersection(consoles):
        yield Finding(
            Level.ERROR,
            port.name,
            "the kernel's serial console is on this port",
            "take console=... for it out of /boot/firmware/cmdline.txt and reboot "
            "(raspi-config: Interface, Serial Port, no login shell)",
        )


def _chips(machine: Machine, wanted: list[str]) -> Iterator[Finding]:
    try:
        files, refused = Chips(machine.path("/dev")).found()
    except BrokenError as error:
        yield Finding(
            Level.ERROR, "Python package lgpio", str(error), "pip install 'edgekernel[pi]'"
        )
        return
    for file, reason in refused.items():
        yield Finding(Level.ERROR, str(file), f"cannot be opened: {reason}")
    for label in wanted:
        if label in files:
            there = ", ".join(str(file) for file in files[label])
            yield Finding(Level.OK, f"GPIO chip {label}", there)
        elif not refused:
            others = ", ".join(sorted(files)) or "none"
            yield Finding(
                Level.ERROR,
                f"GPIO chip {label}",
                f"not there; this computer has: {others}",
                "the board file does not fit this kernel, or its driver is not loaded",
            )


def _spidev(must: bool) -> Iterator[Finding]:
    if find_spec("spidev") is None:
        level = Level.ERROR if must else Level.WARNING
        fix = "pip install 'edgekernel[pi]'"
        yield Finding(level, "Python package spidev", "not installed", fix)
