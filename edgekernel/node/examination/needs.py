"""What a node needs of its board: device files, chips, ports and packages."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from edgekernel.backends.linux.gpio import Chips
from edgekernel.core.errors import BrokenError
from edgekernel.hal.address import (
    BusAddress,
    LineAddress,
    OneWireAddress,
    PortAddress,
    PwmAddress,
    SpiAddress,
)
from edgekernel.node.board import Board
from edgekernel.node.examination.boot_config import CONFIG_TXT, lines_in_force
from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.machine import Machine
from edgekernel.node.planned import Address

_LOGINS = ("agetty", "getty", "mgetty", "login")
Bus = BusAddress | PortAddress | SpiAddress | OneWireAddress
"""What a board has beside its lines."""


def is_there(machine: Machine, address: Bus) -> bool:
    """Tell whether the device file of a bus or port exists, or the folder of a 1-Wire bus."""
    place = address.folder if isinstance(address, OneWireAddress) else address.device
    return machine.exists(place)


def look_at_needs(
    machine: Machine, board: Board, addresses: Sequence[Address], *, must: bool
) -> Iterator[Finding]:
    """Find whether what is at these addresses is there, and for this user; what is not is an error
    if it `must` be there."""
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
    if not machine.path(device).stat().st_mode & stat.S_IWGRP:
        fix = "give it to a group with a udev rule, as `edgekernel install` does for its node"
    elif machine.is_member(group):
        fix = f"{machine.user} is in the group {group} since the last login: log in again"
    else:
        fix = f"sudo usermod -aG {group} {machine.user}, then log in again"
    return Finding(Level.ERROR, subject, f"{machine.user} may not use it", fix)


def _enable(machine: Machine, enabling: str) -> str:
    """Say how a bus is switched on; `enabling` is what the board file says of it."""
    line = enabling.removeprefix(CONFIG_TXT)
    config = machine.boot_config
    if not enabling:
        return "plug it in, or switch it on as the board's documentation says"
    if line == enabling or not config:
        return enabling
    if line in lines_in_force(machine):
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
    elif _has_login(machine, aliases):
        text = "a login waits on this port, and answers to what the device sends"
        fix = f"sudo systemctl disable --now serial-getty@{real}.service"
        yield Finding(Level.ERROR, port.name, text, fix)


def _has_login(machine: Machine, ports: set[str]) -> bool:
    """Say whether a getty runs on one of these ports, by the command line that agetty(8) has."""
    for name in machine.find("/proc/[0-9]*/comm"):
        if machine.read(name).strip() in _LOGINS:
            words = machine.read(name.removesuffix("comm") + "cmdline").split("\0")
            if ports.intersection(word.rpartition("/")[2] for word in words):
                return True
    return False


def _chips(machine: Machine, wanted: list[str]) -> Iterator[Finding]:
    try:
        files, refused = Chips(machine.path("/dev")).found()
    except BrokenError as error:
        yield Finding(
            Level.ERROR, "Python package lgpio", str(error), "pip install 'edgekernel[pi]'"
        )
        return
    for file, reason in refused.items():
        yield _refused(machine, f"/dev/{file.name}", reason)
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


def _refused(machine: Machine, device: str, reason: str) -> Finding:
    if not machine.may_use(device):
        return _forbidden(machine, device, device)
    fix = (
        "sudo dmesg says if its driver has failed; a unit needs DeviceAllow=char-gpiochip rw, a "
        f"container --device {device}"
    )
    return Finding(Level.ERROR, device, f"cannot be opened: {reason}", fix)


def _spidev(must: bool) -> Iterator[Finding]:
    if find_spec("spidev") is None:
        level = Level.ERROR if must else Level.WARNING
        fix = "pip install 'edgekernel[pi]'"
        yield Finding(level, "Python package spidev", "not installed", fix)
