"""What can go wrong with the file: for a while, or for good."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

_DAMAGED = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_MISMATCH,
}
"""Results that the same file will give again: https://www.sqlite.org/rescode.html"""
_KEPT = 3


class StoreFailed(Exception):
    """The file cannot be used now; it may work later (disk full, read-only, locked)."""


class StoreDamaged(Exception):
    """The file is of no use, now or later; the text says why."""


@contextmanager
def sorted_out() -> Iterator[None]:
    """Turn what SQLite and the file system raise into `StoreFailed` or `StoreDamaged`."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None and code & 0xFF in _DAMAGED:
            raise StoreDamaged(str(error)) from error
        raise StoreFailed(str(error)) from error
    except OSError as error:
        raise StoreFailed(error.strerror or str(error)) from error


def set_aside(path: Path, now: datetime) -> Path:
    """Give the file and what belongs to it another name, and return it; raises OSError.

    The latest three are kept.
    """
    begin = f"{path.name}.aside-"
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    named = path.with_name(f"{begin}{stamp}")
    number = 1
    while named.exists():
        number += 1
        named = path.with_name(f"{begin}{stamp}-{number}")
    for ending in ("-wal", "-shm", "-journal", ""):  # the file last: until then it is not done
        part = path.with_name(path.name + ending)
        if part.exists():
            part.rename(named.with_name(named.name + ending))
    aside = path.parent.glob(f"{begin}*")
    mains = sorted((each for each in aside if not _is_part(each)), key=_written)
    for old in mains[:-_KEPT]:
        for ending in ("", "-wal", "-shm", "-journal"):
            old.with_name(old.name + ending).unlink(missing_ok=True)
    return named


def _is_part(path: Path) -> bool:
    return path.name.endswith(("-wal", "-shm", "-journal"))


def _written(path: Path) -> tuple[float, str]:
    return path.stat().st_mtime, path.name
