"""Folders that stand for the root of a computer, and what its kernel would say."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from edgekernel.node.machine import Machine

MEBIBYTE = 1024 * 1024
NOW_S = 1_790_000_000
"""What a computer has for the time: September 2026."""


def lay(root: Path, files: dict[str, str | bytes]) -> None:
    """Write files below a root, by their names in the computer."""
    for name, content in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def disk(
    total_mib: int = 16_000,
    free_mib: int = 8_000,
    free_files: int = 900_000,
    files: int = 1_000_000,
    flags: int = 0,
) -> Callable[[Path], os.statvfs_result]:
    """Give what statvfs(3) says of every folder that is there."""

    def statvfs(path: Path) -> os.statvfs_result:
        path.stat()
        blocks = (4096, 4096, total_mib * 256, free_mib * 256, free_mib * 256)
        return os.statvfs_result((*blocks, files, free_files, free_files, flags, 255))

    return statvfs


def computer(
    root: Path,
    *,
    uid: int | None = None,
    gids: frozenset[int] | None = None,
    quality: str = "synchronised",
    statvfs: Callable[[Path], os.statvfs_result] | None = None,
    nvme_log: Callable[[Path], bytes] = Path.read_bytes,
) -> Machine:
    """Give the computer of a root, with half its disk free and the right time; the file of an NVMe
    disk stands for its log."""
    statvfs = disk() if statvfs is None else statvfs
    return Machine(
        root,
        uid,
        gids,
        statvfs=statvfs,
        time_quality=lambda: quality,
        now_s=lambda: float(NOW_S),
        nvme_log=nvme_log,
    )


def lay_pi4(root: Path) -> None:
    """Lay what a Raspberry Pi 4 in good order tells of itself."""
    lay(
        root,
        {
            "/proc/device-tree/compatible": b"raspberrypi,4-model-b\0brcm,bcm2711\0",
            "/proc/device-tree/aliases/i2c1": b"/soc/i2c@7e804000\0",
            "/proc/device-tree/soc/i2c@7e804000/status": b"okay\0",
            "/proc/cmdline": "console=tty1 root=/dev/mmcblk0p2\n",
            "/proc/meminfo": "MemTotal: 3884600 kB\nMemFree: 99 kB\nMemAvailable: 3400000 kB\n",
            "/proc/self/mountinfo": "27 1 179:2 / / rw,noatime - ext4 /dev/mmcblk0p2 rw\n",
            "/proc/412/comm": "systemd-timesyn\n",
            "/boot/firmware/config.txt": "dtparam=audio=on\n",
            "/sys/bus/i2c/devices/i2c-1/of_node/clock-frequency": (100_000).to_bytes(4, "big"),
            "/sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs": "Y\n",
            "/sys/block/mmcblk0/device/type": "SD\n",
            "/sys/block/mmcblk0/device/name": "SC32G\n",
            "/sys/block/mmcblk0/device/date": "03/2021\n",
            "/sys/class/hwmon/hwmon1/name": "rpi_volt\n",
            "/sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n",
            "/sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
            "/sys/class/thermal/thermal_zone0/temp": "48312\n",
            "/sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "/sys/class/watchdog/watchdog0/identity": "Broadcom BCM2835 Watchdog timer\n",
            "/sys/class/watchdog/watchdog0/timeout": "15\n",
            "/sys/class/watchdog/watchdog0/state": "active\n",
        },
    )
