"""Files are removed from a card so that their content does not stay on it.

What is only unlinked can be read from the free blocks of a file system until something else is
written there. FAT writes in place, so what is overwritten before is gone from the partition; not
from a card that keeps old blocks for itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from edgekernel.platform.durable import sync_folder

_PREFIX = ".erase-"
_CHUNK = 2**20


def erase(folder: Path, paths: Iterable[Path] = ()) -> None:
    """Remove files below `folder`, one after the other, and what an earlier call has left there.

    All of them are renamed before the first one is overwritten: if the power goes, a file has its
    name and its content, or neither, and the next call finishes it. Raises OSError if the disk
    fails.
    """
    _finish(folder)
    renamed = [path.rename(path.with_name(_PREFIX + path.name)) for path in paths]
    for each in sorted({path.parent for path in renamed}):
        sync_folder(each)
    _finish(folder)


def _finish(folder: Path) -> None:
    for path in sorted(folder.rglob(f"{_PREFIX}*")):
        if path.is_file():
            overwrite(path)
            path.unlink()


def is_being_erased(path: Path) -> bool:
    """Say whether a file is what `erase` has renamed: it is none any more."""
    return path.name.startswith(_PREFIX)


def overwrite(path: Path) -> None:
    """Write zeros in the place of what a file holds; return when they are on the disk."""
    with path.open("r+b") as file:
        left = os.fstat(file.fileno()).st_size
        while left > 0:
            left -= file.write(bytes(min(left, _CHUNK)))
        file.flush()
        os.fsync(file.fileno())
