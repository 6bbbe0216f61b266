"""Wear of NVMe disks, by their own health log."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.machine import Machine

_MAX_DISKS = 8
_FAILING = {
    0x01: "its spare blocks are used up",
    0x04: "it has become unreliable",
    0x08: "it can only be read",
}
"""NVM Express Base Specification 2.0, figure 207, "Critical Warning"; the others are of heat and of
a backup power that hardly any disk has."""
_WORN_PERCENT, _OVER_PERCENT = 80, 100


def look_at_nvme(machine: Machine) -> Iterator[Finding]:
    """Find how worn each NVMe disk is, which only root is told."""
    names = machine.find("/sys/class/nvme/nvme*")
    disks = [each for each in names if re.fullmatch(r"/sys/class/nvme/nvme\d+", each)]
    for disk in disks[:_MAX_DISKS]:
        yield _look_at(machine, disk)


def _look_at(machine: Machine, disk: str) -> Finding:
    name = disk.rpartition("/")[2]
    subject, model = f"NVMe disk {name}", machine.read(f"{disk}/model").strip() or "without a name"
    try:
        log = machine.nvme_log(f"/dev/{name}")
    except PermissionError:
        text = f"{model}: tells its wear to root only: sudo edgekernel doctor"
        return Finding(Level.OK, subject, text)
    except OSError as error:
        return Finding(Level.OK, subject, f"{model}: does not tell its wear: {error}")
    critical, spare_percent, threshold_percent, used_percent = log[0], log[3], log[4], log[5]
    text = f"{model}: {used_percent} % of its estimated life time used, {spare_percent} % spare"
    failing = [words for bit, words in _FAILING.items() if critical & bit]
    if failing or used_percent >= _OVER_PERCENT:
        text = "; ".join((text, *failing))
        fix = "it may fail any day: copy it to a new one now"
        return Finding(Level.ERROR, subject, text, fix)
    if used_percent >= _WORN_PERCENT or spare_percent <= threshold_percent:
        fix = "plan its replacement, and see what writes so much: sudo iotop -oPa"
        return Finding(Level.WARNING, subject, text, fix)
    return Finding(Level.OK, subject, text)
