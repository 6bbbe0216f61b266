"""Disks: what is free, what can only be read, and how worn they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgekernel.node.examination.finding import Finding, Level
from edgekernel.node.machine import Machine
from edgekernel.node.vitals import room

_LITTLE_PERCENT, _NEARLY_FULL_PERCENT = 10.0, 2.0
_LITTLE_BYTES = 200_000_000
"""Below a tenth of the disk; of a large one this much is enough."""
_MAX_FOUND = 8
"""Findings of one kind, at most."""
_ESCAPE = re.compile(r"\\([0-7]{3})")
_REAL = ("ext2", "ext3", "ext4", "btrfs", "f2fs", "xfs", "vfat", "exfat")


def look_at_disks(machine: Machine, folder: str, *, written: bool = True) -> Iterator[Finding]:
    """Find how the file system of a folder is, and which others are not as they should be.

    `written` says whether something is to be kept in the folder: else it may be one that can only
    be read, as the root of an image.
    """
    yield from _room(machine, folder, written)
    yield from _read_only(machine)
    yield from _errors(machine)


def _room(machine: Machine, folder: str, written: bool) -> Iterator[Finding]:
    subject = f"disk ({folder})"
    found = room(machine, folder)
    if found is None:
        yield Finding(Level.OK, subject, "nobody can tell how much is free")
        return
    if found.read_only and not written:
        text = "can only be read, and need not be written: name the node file for its data folder"
        yield Finding(Level.OK, subject, text)
        return
    text = f"{found.free_bytes / 1e6:,.0f} MB free ({found.free_percent:g} %)"
    fix = f"remove what is not needed: sudo du -xh -d1 {folder}, sudo journalctl --vacuum-size=50M"
    little = found.free_percent < _LITTLE_PERCENT and found.free_bytes < _LITTLE_BYTES
    if found.free_percent < _NEARLY_FULL_PERCENT and little:
        yield Finding(Level.ERROR, subject, text, fix)
    elif little:
        yield Finding(Level.WARNING, subject, text, fix)
    else:
        yield Finding(Level.OK, subject, text)
    files = found.free_files_percent
    if files is not None and files < _LITTLE_PERCENT:
        level = Level.ERROR if files < _NEARLY_FULL_PERCENT else Level.WARNING
        text = f"only {files:g} % of the inodes are free: no more files, whatever room there is"
        yield Finding(level, subject, text, f"find the many small files: du --inodes -xd1 {folder}")
    if found.read_only:
        yield Finding(
            Level.ERROR,
            subject,
            "can only be read: nothing of the node survives a restart",
            "sudo dmesg tells why; after disk errors: back up, fsck, and replace the card",
        )


def _read_only(machine: Machine) -> Iterator[Finding]:
    """Find what fstab has for writing and the kernel has not: it was remounted after errors."""
    wanted = {place: options for _, place, _, options in _table(machine, "/etc/fstab")}
    found = 0
    for device, place, kind, options in _mounts(machine):
        meant = wanted.get(place)
        if kind not in _REAL or "ro" not in options or meant is None or "ro" in meant:
            continue
        found += 1
        if found <= _MAX_FOUND:
            yield Finding(
                Level.ERROR,
                f"file system {place}",
                f"{device} can only be read, but /etc/fstab has it for writing",
                f"the kernel does that after errors: sudo dmesg, then sudo fsck {device} while it "
                "is not mounted",
            )


def _errors(machine: Machine) -> Iterator[Finding]:
    """Find what ext4 has noted in its superblock (Documentation/ABI/testing/sysfs-fs-ext4)."""
    for name in machine.find("/sys/fs/ext4/*/errors_count")[:_MAX_FOUND]:
        if count := machine.number(name):
            device = name.split("/")[-2]
            yield Finding(
                Level.WARNING,
                f"file system on {device}",
                f"{count} errors since it was last checked",
                f"back up, then sudo fsck /dev/{device} while it is not mounted",
            )


def _table(machine: Machine, name: str) -> Iterator[tuple[str, str, str, list[str]]]:
    """Return device, place, kind and options of each line of a table such as fstab(5)."""
    for line in machine.read(name).splitlines():
        fields = line.split()
        if len(fields) >= 4 and not line.lstrip().startswith("#"):
            device, place, kind, options = map(_plain, fields[:4])
            yield device, place, kind, options.split(",")


def _mounts(machine: Machine) -> Iterator[tuple[str, str, str, list[str]]]:
    """Return device, place, kind and options of each file system that is mounted: those of the file
    system itself, which a service's sandbox leaves as they are (proc_pid_mountinfo(5))."""
    for line in machine.read("/proc/self/mountinfo").splitlines():
        mounted, _, system = line.partition(" - ")
        places, fields = mounted.split(), system.split()
        if len(places) >= 6 and len(fields) >= 3:
            kind, device, options = map(_plain, fields[:3])
            yield device, _plain(places[4]), kind, options.split(",")


def _plain(field: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), field)
