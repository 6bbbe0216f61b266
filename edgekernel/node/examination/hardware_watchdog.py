"""The hardware watchdog: does anything restart a computer whose kernel hangs?"""

from __future__ import annotations

from collections.abc import Iterator

from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.machine import Machine

_FOLDER = "/sys/class/watchdog/watchdog0"
_SUBJECT = "hardware watchdog"


def look_at_watchdog(machine: Machine) -> Iterator[Finding]:
    """Find the first watchdog, and whether somebody feeds it (Documentation/ABI/testing/
    sysfs-class-watchdog)."""
    if not machine.exists(_FOLDER) and not machine.exists("/dev/watchdog0"):
        text = "none: a computer that hangs stays so"
        yield Finding(Level.WARNING, _SUBJECT, text, _enabling(machine))
        return
    name = machine.read(f"{_FOLDER}/identity").strip() or "watchdog0"
    limit_s = machine.number(f"{_FOLDER}/timeout")
    state = machine.read(f"{_FOLDER}/state").strip()
    text = name if limit_s is None else f"{name}, {limit_s} s"
    if state == "inactive":
        yield Finding(
            Level.WARNING,
            _SUBJECT,
            f"{text}: nobody uses it, so a computer that hangs stays so",
            "RuntimeWatchdogSec=14s below [Manager] in a file in /etc/systemd/system.conf.d, "
            "and reboot",
        )
    else:
        yield Finding(Level.OK, _SUBJECT, f"{text}: in use" if state == "active" else text)


def _enabling(machine: Machine) -> str:
    if machine.boot_config:
        return f"put dtparam=watchdog=on into {machine.boot_config} and reboot"
    return "load the driver of the board's watchdog, or softdog, with /etc/modules-load.d"
