"""The real-time clock: does the computer know the time before a server has told it?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.examination.time_service import keeper
from edgekernel.node.machine import Machine

_SUBJECT = "real-time clock"
_MAX_CLOCKS = 4
_BUILT_S = 1_735_689_600
"""2025: before that a clock stands, or was never set."""
_OFF_S = 60
_QUARTER_S, _FARTHEST_S = 900, 14 * 3600
"""A clock with local time is off by a zone (tz database: whole quarters, at most 14 h)."""
_EMPTY_UV = 2_000_000
"""A Raspberry Pi 5 takes a rechargeable lithium manganese cell, which has 3 V (raspberrypi.com,
"Add a backup battery"). Makers count the capacity of such cells down to 2.0 V (Sanyo, ML421,
"Nominal capacity"). Which voltage the clock needs is not said there: below this it may stand."""
_SAVED = ("/var/lib/systemd/timesync/clock", "/etc/fake-hwclock.data")
"""What systemd-timesyncd(8) and fake-hwclock(8) keep of the time."""
_UNTIL = "until a server is reached readings and events are marked unsynchronised, and"


def look_at_clocks(machine: Machine) -> Iterator[Finding]:
    """Find each real-time clock and whether it keeps the time (Documentation/ABI/testing/
    sysfs-class-rtc), and without one whether the time is saved."""
    names = machine.find("/sys/class/rtc/rtc*")
    clocks = [each for each in names if re.fullmatch(r"/sys/class/rtc/rtc\d+", each)]
    for clock in clocks[:_MAX_CLOCKS]:
        yield _look_at(machine, clock)
    if not clocks:
        yield _without(machine, "none", _fitting(machine))


def _look_at(machine: Machine, clock: str) -> Finding:
    told = machine.read(f"{clock}/name").strip().partition(" ")[0] or clock.rpartition("/")[2]
    has_s = machine.number(f"{clock}/since_epoch")
    fix = "sudo hwclock --systohc; if it is wrong again after a power cut, its battery is empty"
    if has_s is None or has_s < _BUILT_S:
        text = f"{told}: stands, or was never set: after a power cut the time is wrong"
        return Finding(Level.WARNING, _SUBJECT, text, fix)
    off_s = has_s - machine.now_s()
    if machine.time_quality() == "synchronised" and not _agrees(off_s):
        text = f"{told}: is off by {abs(off_s):,.0f} s"
        return Finding(Level.WARNING, _SUBJECT, text, fix)
    battery_uv = machine.number(f"{clock}/battery_voltage")  # rtc-rpi.c of the Raspberry Pi 5
    if battery_uv is not None and battery_uv < _EMPTY_UV:
        config = machine.boot_config or "config.txt"
        cell = f"connect an ML2020 to J5, and put dtparam=rtc_bbat_vchg=3000000 into {config}"
        found = f"{told} without a charged battery ({battery_uv / 1e6:.1f} V)"
        return _without(machine, found, cell)
    return Finding(Level.OK, _SUBJECT, f"{told}: keeps the time")


def _agrees(off_s: float) -> bool:
    """Say whether a clock is right, in UTC or in a local time."""
    beside_s = abs(off_s) % _QUARTER_S
    return min(beside_s, _QUARTER_S - beside_s) <= _OFF_S and abs(off_s) <= _FARTHEST_S + _OFF_S


def _without(machine: Machine, found: str, fix: str) -> Finding:
    """Say what it means that no clock runs without power."""
    if keeper(machine) == "systemd-timesyncd" or any(map(machine.exists, _SAVED)):
        text = f"{found}: after a power cut the time goes on where it was saved; {_UNTIL}"
        return Finding(Level.OK, _SUBJECT, f"{text} late by the time without power")
    text = f"{found}, and nobody saves the time: after a power cut it is years behind; {_UNTIL}"
    text += " links with TLS fail, as no certificate is valid yet"
    save = "sudo apt install systemd-timesyncd, which saves the time"
    return Finding(Level.WARNING, _SUBJECT, text, f"{save}; or {fix}")


def _fitting(machine: Machine) -> str:
    if machine.boot_config:
        return f"fit one, such as a DS3231 with dtoverlay=i2c-rtc,ds3231 in {machine.boot_config}"
    return "fit one, such as a DS3231"
