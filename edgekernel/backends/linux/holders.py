"""Who has GPIO lines: the kernel tells a line's label only, /proc the processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_LONGEST = 80
"""Characters of a command line that are shown."""


def gpio_processes(chip: Path, proc: Path = Path("/proc")) -> list[str]:
    """Return the other processes that have this chip open or hold a line, as this user sees them.

    Of a held line /proc does not tell the chip, so it may be one of another chip. Those of other
    users are seen by root only.
    """
    others = (folder for folder in proc.glob("[0-9]*") if folder.name != str(os.getpid()))
    return [
        f"{_command(folder)} (process {folder.name})"
        for folder in sorted(others, key=lambda folder: int(folder.name))
        if any(_is_gpio(target, chip) for target in _open_files(folder))
    ]


def _open_files(folder: Path) -> Iterator[str]:
    """Yield what the file descriptors of a process are, nothing if that is not to be seen."""
    with suppress(OSError):  # another user's, or it has ended meanwhile
        for link in (folder / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed since it was listed
                yield os.readlink(link)


def _is_gpio(target: str, chip: Path) -> bool:
    # A held line is "anon_inode:gpio-line" (Linux, drivers/gpio/gpiolib-cdev.c).
    return target == str(chip) or target.startswith("anon_inode:gpio")


def _command(folder: Path) -> str:
    try:
        words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        words = []
    command = " ".join(words).strip()
    return (command[:_LONGEST] + "…" if len(command) > _LONGEST else command) or "unnamed"
