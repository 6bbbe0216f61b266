"""The real-time clock, and what is there in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.examination.real_time_clock import look_at_clocks
from tests.node.computers import NOW_S, computer, lay

CLOCK = "/sys/class/rtc/rtc0"


def look(root: Path, quality: str = "synchronised") -> Finding:
    """Look at the one clock."""
    (found,) = look_at_clocks(computer(root, quality=quality))
    return found


@pytest.mark.parametrize(
    ("off_s", "level"),
    [
        (0, Level.OK),
        (-59, Level.OK),
        (61, Level.WARNING),
        (5 * 3600 + 45 * 60, Level.OK),  # the local time of Nepal
        (-9.5 * 3600 + 30, Level.OK),
        (15 * 3600, Level.WARNING),
        (86_400, Level.WARNING),
    ],
)
def test_is_it_right(tmp_path: Path, off_s: float, level: Level) -> None:
    """A clock is right within a minute, in UTC or a local time, if the computer knows the time."""
    lay(tmp_path, {f"{CLOCK}/name": "rtc-ds1307 1-0068\n"})
    lay(tmp_path, {f"{CLOCK}/since_epoch": f"{NOW_S + off_s:.0f}\n"})
    found = look(tmp_path)
    assert (found.level, found.subject) == (level, "real-time clock")
    assert found.text.startswith("rtc-ds1307: ")
    assert bool(found.fix) is (level is Level.WARNING)
    assert look(tmp_path, "unsynchronised").level is Level.OK  # nobody knows better


@pytest.mark.parametrize("told", ["0\n", "946684800\n", "", "nonsense\n"])
def test_one_that_stands(tmp_path: Path, told: str) -> None:
    """A clock that cannot be read or has a time of long ago stands: it is told, whatever else."""
    lay(tmp_path, {f"{CLOCK}/since_epoch": told, "/etc/fake-hwclock.data": "2026-09-21 10:00:00\n"})
    for quality in ("synchronised", "unsynchronised"):
        found = look(tmp_path, quality)
        assert found.level is Level.WARNING
        assert found.text.startswith("rtc0: stands, or was never set")


@pytest.mark.parametrize(
    "saved",
    [
        {"/var/lib/systemd/timesync/clock": ""},
        {"/etc/fake-hwclock.data": "2026-09-21 10:00:00\n"},
        {"/proc/412/comm": "systemd-timesyn\n"},
    ],
)
def test_none_but_the_time_is_saved(tmp_path: Path, saved: dict[str, str | bytes]) -> None:
    """Without a clock, a saved time is late after a power cut: that is told, and in order."""
    lay(tmp_path, saved)
    found = look(tmp_path)
    assert found.level is Level.OK
    assert found.text.startswith("none: after a power cut the time goes on where it was saved")
    assert "marked unsynchronised" in found.text


def test_none_and_nothing_is_saved(tmp_path: Path) -> None:
    """Without both, the time is years behind after a power cut, and links with TLS fail."""
    lay(tmp_path, {"/boot/firmware/config.txt": "", "/proc/412/comm": "chronyd\n"})
    found = look(tmp_path)
    assert found.level is Level.WARNING
    assert "TLS" in found.text
    assert "dtoverlay=i2c-rtc,ds3231 in /boot/firmware/config.txt" in found.fix


@pytest.mark.parametrize(
    ("microvolts", "volts"), [(3_012_000, ""), (2_000_000, ""), (1_900_000, "1.9"), (1_000, "0.0")]
)
def test_the_battery_of_a_pi_5(tmp_path: Path, microvolts: int, volts: str) -> None:
    """The clock of a Raspberry Pi 5 runs without its battery, until the power goes; whether there
    is none or it is empty, only its voltage is known."""
    lay(
        tmp_path,
        {
            f"{CLOCK}/name": "rpi_rtc soc:rpi_rtc\n",
            f"{CLOCK}/since_epoch": f"{NOW_S}\n",
            f"{CLOCK}/battery_voltage": f"{microvolts}\n",
        },
    )
    found = look(tmp_path)
    assert found.level is (Level.WARNING if volts else Level.OK)
    assert found.text.startswith("rpi_rtc")
    if volts:
        assert f"without a charged battery ({volts} V)" in found.text
        assert "rtc_bbat_vchg=3000000" in found.fix
