"""Who has a device file or a GPIO line: the kernel hardly tells, /proc names the processes.

Those of other users are seen by root only (Linux, Documentation/filesystems/proc.rst, section 1.1).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

_LONGEST = 80
"""Characters of a command line that are shown."""

PROC = Path("/proc")


def gpio_processes(chip: Path, proc: Path = PROC) -> list[str]:
    """Return the other processes that have this chip open or hold a line, as this user sees them.

    Of a held line /proc does not tell the chip, so it may be one of another chip.
    """
    found = _processes(lambda target: _is_gpio(target, chip), proc)
    return [_name(folder) for folder in found if not _is_ours(folder)]


def file_processes(device: str, proc: Path = PROC) -> list[str]:
    """Return the processes that have a device file open, as this user sees them; this one as
    "this process"."""
    file = os.path.realpath(device)
    found = _processes(lambda target: target == file, proc)
    return ["this process" if _is_ours(folder) else _name(folder) for folder in found]


def _processes(holds: Callable[[str], bool], proc: Path) -> list[Path]:
    folders = sorted(proc.glob("[0-9]*"), key=lambda folder: int(folder.name))
    return [folder for folder in folders if any(map(holds, _open_files(folder)))]


def _open_files(folder: Path) -> Iterator[str]:
    """Yield what the file descriptors of a process are, nothing if that is not to be seen."""
    with suppress(OSError):  # another user's, or it has ended meanwhile
        for link in (folder / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed since it was listed
                yield os.readlink(link)


def _is_ours(folder: Path) -> bool:
    return folder.name == str(os.getpid())


def _is_gpio(target: str, chip: Path) -> bool:
    # A held line is "anon_inode:gpio-line" (Linux, drivers/gpio/gpiolib-cdev.c).
    return target == str(chip) or target.startswith("anon_inode:gpio")


def _name(folder: Path) -> str:
    return f"{_command(folder)} (process {folder.name})"


def _command(folder: Path) -> str:
    try:
        words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        words = []
    command = " ".join(words).strip()
    return (command[:_LONGEST] + "…" if len(command) > _LONGEST else command) or "unnamed"
