"""Bus speeds: does an I²C bus run as fast as the node reckons with?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from edgekernel.hal.address import BusAddress
from edgekernel.node.board import Board
from edgekernel.node.examination.boot_config import CONFIG_TXT
from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.machine import Machine


def look_at_speeds(
    machine: Machine, board: Board, buses: Iterable[BusAddress], speed_hz: Callable[[str], int]
) -> Iterator[Finding]:
    """Find buses whose device tree has another clock than `speed_hz` gives by name.

    A bus that is not there, or does not tell its clock, is passed over.
    """
    for bus in dict.fromkeys(buses):
        real_hz = _real_hz(machine, bus)
        expected_hz = speed_hz(bus.name)
        if real_hz is None:
            continue
        subject, text = f"{bus.name} speed", f"{real_hz / 1000:g} kHz"
        if real_hz == expected_hz:
            yield Finding(Level.OK, subject, text)
            continue
        fix = f"write speed_hz = {real_hz} below [buses.{bus.name}] in the node file"
        if line := _setting(board.enabling(bus.name), expected_hz):
            config = machine.boot_config or "config.txt"
            fix += f", or put {line} into {config} and reboot"
        text += f", but the node reckons with {expected_hz / 1000:g} kHz"
        yield Finding(Level.WARNING, subject, text, fix)


def _real_hz(machine: Machine, bus: BusAddress) -> int | None:
    """Return the clock that the device tree has given a bus: one big-endian cell
    (Documentation/devicetree/bindings/i2c/i2c.txt, clock-frequency)."""
    adapter = machine.path(bus.device).resolve().name
    cell = machine.read_bytes(f"/sys/bus/i2c/devices/{adapter}/of_node/clock-frequency")
    return int.from_bytes(cell, "big") or None if len(cell) == 4 else None


def _setting(enabling: str, speed_hz: int) -> str:
    """Return the line of config.txt that gives a bus a clock, by the one that switches it on; empty
    where there is none."""
    line = enabling.removeprefix(CONFIG_TXT)
    if parameter := re.fullmatch(r"dtparam=(i2c\w*)=on", line):
        return f"dtparam={parameter[1]}_baudrate={speed_hz}"
    return f"{line},baudrate={speed_hz}" if line.startswith("dtoverlay=i2c") else ""
