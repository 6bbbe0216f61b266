"""Overlays: has the running computer what its config.txt switches on?"""

from __future__ import annotations

from collections.abc import Iterator

from edgekernel.hal.address import BusAddress, OneWireAddress, PortAddress, SpiAddress
from edgekernel.node.board import Board
from edgekernel.node.examination.boot_config import CONFIG_TXT, lines_in_force
from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.examination.needs import Bus
from edgekernel.node.machine import Machine

_TREE = "/proc/device-tree"
_OVERLAY = "dtoverlay="


def look_at_overlays(machine: Machine, board: Board) -> Iterator[Finding]:
    """Find what config.txt asks for and the running device tree has not; nothing on a computer
    without a config.txt."""
    if not (config := machine.boot_config):
        return
    lines = lines_in_force(machine)
    found = [*_without_file(machine, config, lines), *_not_in_tree(machine, board, lines)]
    if found:
        yield from found
    elif _changed_since_boot(machine, config):
        text = "was changed after this computer was started: what is new in it does not count yet"
        yield Finding(Level.WARNING, config, text, "reboot")
    else:
        yield Finding(Level.OK, config, "what it switches on is there, as far as can be seen")


def _without_file(machine: Machine, config: str, lines: list[str]) -> Iterator[Finding]:
    """Find overlays of which there is no file: the firmware passes over them without a word."""
    folder = f"{config.rpartition('/')[0]}/overlays"
    names = [line.removeprefix(_OVERLAY) for line in lines if line.startswith(_OVERLAY)]
    named = dict.fromkeys(name.partition(",")[0].partition(":")[0].strip() for name in names)
    if not machine.exists(folder):
        return
    renamed = machine.read(f"{folder}/overlay_map.dtb")  # names that stand for others
    for name in filter(None, named):
        if not machine.exists(f"{folder}/{name}.dtbo") and f"{name}\0" not in renamed:
            yield Finding(
                Level.WARNING,
                f"{_OVERLAY}{name} ({config})",
                f"there is no {name}.dtbo in {folder}: it switches nothing on",
                f"write it as its file is called: ls {folder}",
            )


def _not_in_tree(machine: Machine, board: Board, lines: list[str]) -> Iterator[Finding]:
    """Find buses and ports that config.txt switches on and the device tree has not, or off."""
    ports: list[Bus] = []
    ports += [*board.buses.values(), *board.ports.values(), *board.selects.values()]
    ports += board.onewires.values()
    for port in ports:
        enabling = board.enabling(port.name)
        line = enabling.removeprefix(CONFIG_TXT)
        asked = [each for each in lines if each == line or each.startswith(f"{line},")]
        if line == enabling or not asked or _is_in_tree(machine, port) is not False:
            continue
        yield Finding(
            Level.WARNING,
            f"{asked[-1]} ({machine.boot_config})",
            f"the running device tree has no {port.name}",
            "reboot; if it is still so then, see what the firmware says: sudo vclog --msg",
        )


def _is_in_tree(machine: Machine, port: Bus) -> bool | None:
    """Say whether the running device tree has a bus or port, switched on; None if it is not known
    where to look."""
    if isinstance(port, OneWireAddress):
        if not machine.exists(_TREE):
            return None
        return any(_is_on(machine, each) for each in machine.find(f"{_TREE}/onewire@*"))
    node = machine.read(f"{_TREE}/aliases/{_alias(port)}").rstrip("\0")
    return _is_on(machine, f"{_TREE}{node}") if node.startswith("/") else None


def _alias(port: BusAddress | PortAddress | SpiAddress) -> str:
    """Return how the device tree calls it: "i2c1", "spi0" for the chip selects of one bus, and
    "serial2" for uart2."""
    if isinstance(port, PortAddress):
        return port.name.replace("uart", "serial")
    return port.name.partition(".")[0]


def _is_on(machine: Machine, node: str) -> bool:
    """Say whether a node is there and not off (Devicetree Specification 0.4, 2.3.4 "status")."""
    status = machine.read(f"{node}/status").rstrip("\0")
    return machine.exists(node) and status in ("", "okay", "ok")


def _changed_since_boot(machine: Machine, config: str) -> bool:
    """Say whether a file is younger than the boot (proc_stat(5), btime)."""
    written_s = machine.modified_s(config)
    for line in machine.read("/proc/stat").splitlines():
        name, _, boot_s = line.partition(" ")
        if name == "btime" and boot_s.isdecimal() and written_s is not None:
            return written_s > int(boot_s)
    return False
