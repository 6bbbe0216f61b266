"""The figures of a computer that change while it runs: heat, supply, room and memory.

Each comes from a small file or one system call, so that a node can look often.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from enum import IntFlag

from edgekernel.node.machine import Machine

_THROTTLED = (
    "/sys/bus/platform/drivers/raspberrypi-firmware/*/get_throttled",
    "/sys/devices/platform/soc/soc:firmware/get_throttled",
)
"""What the Raspberry Pi's firmware has told the kernel last, in hexadecimal: drivers/firmware/
raspberrypi.c of its kernel."""
_VOLTAGE_SENSOR = "rpi_volt"
_DIGITS = 20
"""A number of the kernel has fewer."""
_OVER = 11
_ZONE0 = "/sys/class/thermal/thermal_zone0/temp"


class Throttling(IntFlag):
    """What a Raspberry Pi's firmware does and has done (its documentation, `get_throttled`).

    The upper half counts from the boot, but the kernel's voltage sensor clears it whenever it
    looks, every 2 s (raspberrypi-hwmon.c): where that is loaded it tells of the last seconds.
    """

    UNDER_VOLTAGE = 1 << 0
    FREQUENCY_CAPPED = 1 << 1
    THROTTLED = 1 << 2
    SOFT_LIMIT = 1 << 3
    WAS_UNDER_VOLTAGE = 1 << 16
    WAS_FREQUENCY_CAPPED = 1 << 17
    WAS_THROTTLED = 1 << 18
    WAS_SOFT_LIMIT = 1 << 19


SLOWED = Throttling.FREQUENCY_CAPPED | Throttling.THROTTLED | Throttling.SOFT_LIMIT
"""The processor is slower than it was asked to be."""


@dataclass(frozen=True, slots=True)
class Memory:
    """How much memory there is, in bytes, and how much of it a program can get without swapping."""

    total_bytes: int
    available_bytes: int

    @property
    def available_percent(self) -> float:
        """The share that is available."""
        return round(100 * self.available_bytes / self.total_bytes, 1)


@dataclass(frozen=True, slots=True)
class Room:
    """What a file system has left, in bytes and in files, and whether it can only be read.

    A share of files is None where a file system makes them as it needs them.
    """

    free_bytes: int
    free_percent: float
    free_files_percent: float | None
    read_only: bool


def throttling(machine: Machine) -> Throttling | None:
    """Return what the firmware does to the processor; None where nobody tells.

    The kernel notes in its log, once, that it would rather be asked for the voltage alone.
    """
    for pattern in _THROTTLED:
        for name in machine.find(pattern):
            if (bits := machine.number(name, 16)) is not None:
                return Throttling(bits & 0xF000F)
    return None


def under_voltage(machine: Machine, told: Throttling | None) -> bool | None:
    """Return whether the supply was too low in the last seconds; None where nobody measures it.

    The kernel's sensor counts, else what the firmware does now, which `told` says.
    """
    for name in machine.find("/sys/class/hwmon/hwmon*/name"):
        if machine.read(name).strip() == _VOLTAGE_SENSOR:
            alarm = machine.number(name.removesuffix("name") + "in0_lcrit_alarm")
            if alarm is not None:
                return alarm != 0
    return None if told is None else Throttling.UNDER_VOLTAGE in told


def slowed(told: Throttling | None) -> bool | None:
    """Return whether the firmware slows the processor down now; None where nobody tells."""
    return None if told is None else bool(told & SLOWED)


def cpu_temperature_c(machine: Machine, name: str = _ZONE0) -> float | None:
    """Return the temperature of a zone in degrees Celsius, of the first one unless told otherwise;
    None where none is measured (Documentation/driver-api/thermal/sysfs-api.rst)."""
    millidegrees = machine.number(name)
    return None if millidegrees is None else round(millidegrees / 1000, 1)


def memory(machine: Machine) -> Memory | None:
    """Return the memory, as proc_meminfo(5) has it; None where that is hidden."""
    kibibytes: dict[str, int] = {}
    for line in machine.read("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        number, _, unit = rest.strip().partition(" ")
        if unit == "kB" and number.isdecimal() and len(number) < _DIGITS:
            kibibytes[name] = int(number)
    total, available = kibibytes.get("MemTotal", 0), kibibytes.get("MemAvailable")
    if not total or available is None:
        return None
    return Memory(total * 1024, available * 1024)


def room(machine: Machine, folder: str) -> Room | None:
    """Return what the file system of a folder has left for this user; None if nobody can tell."""
    found = machine.room(folder)
    if found is None or not found.f_blocks:
        return None
    return Room(
        found.f_bavail * found.f_frsize,
        round(100 * found.f_bavail / found.f_blocks, 1),
        round(100 * found.f_favail / found.f_files, 1) if found.f_files else None,
        bool(found.f_flag & os.ST_RDONLY),
    )


def flash_used_percent(machine: Machine) -> int | None:
    """Return how much of its life time the most worn eMMC has used by its own estimate, in steps of
    10 up to 100, and 110 for more; None where none tells. The kernel asked when it started."""
    names = machine.find("/sys/block/mmcblk*/device/life_time")
    steps = [step for name in names for step in tenths_used(machine.read(name))]
    return 10 * min(max(steps), _OVER) if steps else None


def tenths_used(text: str) -> list[int]:
    """Return the tenths of its life time that are used of each kind of cell of an eMMC, 11 for more
    than all (JESD84-B51, EXT_CSD [268] and [269]); what it does not tell is left out."""
    found = []
    for each in text.split():
        with suppress(ValueError):
            found.append(int(each, 16))
    return [step for step in found if step > 0]
