"""Who has a device file open: what `fuser` tells, without it."""

from __future__ import annotations

import os
from pathlib import Path

_FEW = 3


def holders_of(device: str, proc: Path = Path("/proc")) -> str:
    """Name the processes that have a device file open, such as "pid 812 (minicom)".

    Empty if none is seen: those of other users are shown to root only (Linux,
    Documentation/filesystems/proc.rst, section 1.1).
    """
    file, own = os.path.realpath(device), str(os.getpid())
    found = []
    for process in sorted(_processes(proc), key=lambda each: int(each.name)):
        if _has_open(process, file):
            ours = process.name == own
            found.append("this process" if ours else f"pid {process.name} ({_command(process)})")
    more = f" and {len(found) - _FEW} more" if len(found) > _FEW else ""
    return ", ".join(found[:_FEW]) + more


def _processes(proc: Path) -> list[Path]:
    return [each for each in proc.iterdir() if each.name.isdecimal()] if proc.is_dir() else []


def _has_open(process: Path, file: str) -> bool:
    try:
        return any(_target(link) == file for link in (process / "fd").iterdir())
    except OSError:  # it has ended, or belongs to somebody else
        return False


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # closed since it was listed
        return ""


def _command(process: Path) -> str:
    try:
        return (process / "comm").read_text(errors="replace").strip()
    except OSError:
        return "unknown"
