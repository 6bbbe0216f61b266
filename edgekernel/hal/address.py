"""Where a boundary is found on a board: what a backend is given to make one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LineAddress:
    """A GPIO line: its name ("GPIO17"), its chip by label, and its offset on the chip."""

    name: str
    chip: str
    offset: int


@dataclass(frozen=True, slots=True)
class BusAddress:
    """An I²C bus: its name ("i2c1") and its device file ("/dev/i2c-1")."""

    name: str
    device: str


@dataclass(frozen=True, slots=True)
class PortAddress:
    """A serial port: its name ("uart0", or the path itself) and its device file."""

    name: str
    device: str
