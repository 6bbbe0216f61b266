"""The hardware watchdog."""

from __future__ import annotations

from pathlib import Path

from edgekernel.node.examination.finding import Level
from edgekernel.node.examination.hardware_watchdog import look_at_watchdog
from tests.node.computers import computer, lay

WATCHDOG = "/sys/class/watchdog/watchdog0"


def test_in_use(tmp_path: Path) -> None:
    """One that is fed is in order, with its name and limit."""
    files = {"identity": "Broadcom BCM2835 Watchdog timer", "timeout": "15", "state": "active"}
    lay(tmp_path, {f"{WATCHDOG}/{name}": f"{text}\n" for name, text in files.items()})
    (found,) = look_at_watchdog(computer(tmp_path))
    assert (found.level, found.text) == (
        Level.OK,
        "Broadcom BCM2835 Watchdog timer, 15 s: in use",
    )


def test_nobody_feeds_it(tmp_path: Path) -> None:
    """One that nobody uses is a warning, with the setting of systemd."""
    lay(tmp_path, {f"{WATCHDOG}/state": "inactive\n"})
    (found,) = look_at_watchdog(computer(tmp_path))
    assert found.level is Level.WARNING
    assert found.fix.startswith("RuntimeWatchdogSec=")


def test_none(tmp_path: Path) -> None:
    """Without one that is a warning; on a Raspberry Pi with the line of config.txt."""
    (found,) = look_at_watchdog(computer(tmp_path))
    assert (found.level, found.fix[:15]) == (Level.WARNING, "load the driver")
    lay(tmp_path, {"/boot/firmware/config.txt": ""})
    (found,) = look_at_watchdog(computer(tmp_path))
    assert found.fix == "put dtparam=watchdog=on into /boot/firmware/config.txt and reboot"


def test_a_kernel_that_tells_little(tmp_path: Path) -> None:
    """A watchdog of which only the device file is there is in order."""
    lay(tmp_path, {"/dev/watchdog0": ""})
    (found,) = look_at_watchdog(computer(tmp_path))
    assert (found.level, found.text) == (Level.OK, "watchdog0")
