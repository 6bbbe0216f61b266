"""Wear: what the flash of a computer says of its age."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.machine import Machine
from edgekernel.node.vitals import tenths_used

_MAX_DEVICES = 8
_WORN, _EXCEEDED = 0x09, 0x0B
"""80 to 90 %, and more than 100 %, of the life time: JESD84-B51, DEVICE_LIFE_TIME_EST_TYP_A and _B
(EXT_CSD [268], [269])."""
_RESERVE = {2: "80 % of its reserved blocks are used", 3: "90 % of its reserved blocks are used"}
"""JESD84-B51, PRE_EOL_INFO (EXT_CSD [267]): warning and urgent."""


def look_at_wear(machine: Machine) -> Iterator[Finding]:
    """Find how worn each eMMC is; an SD card does not say it."""
    names = machine.find("/sys/block/mmcblk*")  # with boot partitions, such as mmcblk0boot0
    disks = [each for each in names if re.fullmatch(r"/sys/block/mmcblk\d+", each)]
    for disk in disks[:_MAX_DEVICES]:
        yield _look_at(machine, disk)


def _look_at(machine: Machine, disk: str) -> Finding:
    told = {
        name: machine.read(f"{disk}/device/{name}").strip()
        for name in ("type", "name", "date", "life_time", "pre_eol_info")
    }
    about = " of ".join(filter(None, (told["name"], told["date"]))) or "without a name"
    kind = {"MMC": "eMMC", "SD": "SD card"}.get(told["type"], told["type"] or "flash")
    subject = f"{kind} {disk.rpartition('/')[2]}"
    used, reserve = tenths_used(told["life_time"]), _step(told["pre_eol_info"])
    if not used and not reserve:
        why = "an SD card does not tell its wear" if told["type"] == "SD" else "its wear is unknown"
        return Finding(Level.OK, subject, f"{about}: {why}")
    text = f"{about}: {_used(max(used, default=0))}"
    if reserve in _RESERVE:
        text += f"; {_RESERVE[reserve]}"
    if reserve == 3 or max(used, default=0) >= _EXCEEDED:
        fix = "it may fail any day: copy it to a new one now"
        return Finding(Level.ERROR, subject, text, fix)
    if reserve == 2 or max(used, default=0) >= _WORN:
        fix = "plan its replacement, and see what writes so much: sudo iotop -oPa"
        return Finding(Level.WARNING, subject, text, fix)
    return Finding(Level.OK, subject, text)


def _used(step: int) -> str:
    if step == 0:
        return "its life time is not told"
    if step >= _EXCEEDED:
        return "its estimated life time is over"
    return f"{10 * (step - 1)} to {10 * step} % of its estimated life time used"


def _step(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0
