"""SQLite's way to the disk, recorded: every write, sync, truncation and deletion, and its failures.

A VFS (https://www.sqlite.org/vfs.html) before the usual one. From the record the files can be made
as they were after any step, or as a power cut may have left them.
"""

from __future__ import annotations

import _sqlite3
import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any, NamedTuple

OK, FULL, IOERR_WRITE, IOERR_FSYNC = 0, 13, 10 | 3 << 8, 10 | 4 << 8

_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_DELETE = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)


class _Methods(Structure):
    """sqlite3_io_methods; what is not looked at here is a plain pointer."""

    _fields_ = (
        ("version", c_int),
        ("close", c_void_p),
        ("read", c_void_p),
        ("write", _WRITE),
        ("truncate", _TRUNCATE),
        ("sync", _SYNC),
        ("others", c_void_p * 12),
    )


class _File(Structure):
    """sqlite3_file."""

    _fields_ = (("methods", POINTER(_Methods)),)


class _Vfs(Structure):
    """sqlite3_vfs."""

    _fields_ = (
        ("version", c_int),
        ("file_size", c_int),
        ("path_size", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", _OPEN),
        ("delete", _DELETE),
        ("others", c_void_p * 15),
    )


class Step(NamedTuple):
    """One step on the way to the disk."""

    kind: str
    """"write", "truncate", "sync" or "delete"."""
    file: str
    offset: int
    data: bytes
    seen: Any
    """What was the case before this step."""


Files = dict[str, bytes]


class Recording:
    """The steps, and what may go wrong with the next ones."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.see: Callable[[], Any] = lambda: None
        """Asked before each step; the answer is kept with it."""
        self.failing: Callable[[int], int | None] = lambda number: None
        """Gives the error of the step of a number, which then is not done; None: there is none."""
        self.count = 0
        self.failures = 0

    def take(self, kind: str, file: str, offset: int = 0, data: bytes = b"") -> int:
        """Record a step that is about to be done; return an error if it must not be."""
        self.count += 1
        if error := self.failing(self.count):
            self.failures += 1
            return error
        self.steps.append(Step(kind, file, offset, data, self.see()))
        return OK

    def after(self, count: int, *, torn: int | None = None) -> Files:
        """Return the files after so many steps; of the last write only the first `torn` bytes."""
        files: dict[str, bytearray] = {}
        for number, step in enumerate(self.steps[:count], start=1):
            _do(files, step, torn if number == count else None)
        return {name: bytes(content) for name, content in files.items()}

    def after_power_cut(self, count: int, survives: Callable[[int], bool]) -> Files:
        """Return the files after so many steps and a power cut.

        Of what no sync has followed that is there for whose number `survives` holds. SQLite
        syncs the folder, and with it what was deleted, at the first sync of a new journal
        (UNIXFILE_DIRSYNC in its os_unix.c).
        """
        safe = self._synced(self.steps[:count])
        files: dict[str, bytearray] = {}
        for number, step in enumerate(self.steps[:count]):
            if number in safe or survives(number):
                _do(files, step, None)
        return {name: bytes(content) for name, content in files.items()}

    @staticmethod
    def _synced(steps: list[Step]) -> set[int]:
        """Return the numbers of the steps that a sync has followed."""
        safe: set[int] = set()
        waiting: dict[str, set[int]] = {}
        deleted: set[int] = set()
        known: set[str] = set()
        for number, step in enumerate(steps):
            if step.kind == "delete":
                deleted.add(number)
                known.discard(step.file)
                waiting.pop(step.file, None)
            elif step.kind == "sync":
                safe |= waiting.pop(step.file, set())
                if step.file not in known and step.file.endswith(("-wal", "-journal")):
                    safe |= deleted
                known.add(step.file)
            else:
                waiting.setdefault(step.file, set()).add(number)
        return safe


def _do(files: dict[str, bytearray], step: Step, torn: int | None) -> None:
    if step.kind == "delete":
        files.pop(step.file, None)
        return
    content = files.setdefault(step.file, bytearray())
    if step.kind == "truncate":
        del content[step.offset :]
    elif step.kind == "write":
        data = step.data[:torn]
        if len(content) < step.offset:
            content.extend(bytes(step.offset - len(content)))
        content[step.offset : step.offset + len(data)] = data


def put(files: Files, folder: Path) -> None:
    """Write files into a new folder."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


@contextmanager
def recording() -> Iterator[Recording]:
    """Record what every connection that is made meanwhile does; close them before the end."""
    sqlite = ctypes.CDLL(_sqlite3.__file__)
    sqlite.sqlite3_vfs_find.restype = POINTER(_Vfs)
    sqlite.sqlite3_vfs_find.argtypes = [c_char_p]
    sqlite.sqlite3_vfs_register.argtypes = [POINTER(_Vfs), c_int]
    sqlite.sqlite3_vfs_unregister.argtypes = [POINTER(_Vfs)]
    usual = sqlite.sqlite3_vfs_find(None)
    made = Recording()
    vfs, kept = _before(usual, made)
    assert sqlite.sqlite3_vfs_register(ctypes.byref(vfs), 1) == OK
    try:
        yield made
    finally:
        sqlite.sqlite3_vfs_unregister(ctypes.byref(vfs))
        assert sqlite.sqlite3_vfs_register(usual, 1) == OK
        kept.clear()


def _before(usual: Any, made: Recording) -> tuple[_Vfs, list[Any]]:
    """Return a VFS that records and then does what the usual one does, and what must stay alive."""
    vfs = _Vfs()
    ctypes.memmove(ctypes.byref(vfs), usual, ctypes.sizeof(_Vfs))
    kept: list[Any] = []
    tables: dict[int, _Methods] = {}
    names: dict[int, str] = {}

    def open(_: int, path: int, file: int, flags: int, out: int) -> int:
        result: int = usual.contents.open(ctypes.addressof(usual.contents), path, file, flags, out)
        opened = ctypes.cast(file, POINTER(_File)).contents
        if result == OK and path:
            names[file] = Path(ctypes.string_at(path).decode()).name
            address = ctypes.addressof(opened.methods.contents)
            if address not in tables:
                tables[address] = _recorded(opened.methods.contents, names, made)
            opened.methods = ctypes.pointer(tables[address])
        return result

    def delete(_: int, path: bytes, sync: int) -> int:
        if error := made.take("delete", Path(path.decode()).name):
            return error
        result: int = usual.contents.delete(ctypes.addressof(usual.contents), path, sync)
        return result

    vfs.name = b"recording"
    vfs.open, vfs.delete = _OPEN(open), _DELETE(delete)
    kept += [vfs, tables, open, delete]
    return vfs, kept


def _recorded(usual: _Methods, names: dict[int, str], made: Recording) -> _Methods:
    """Return the methods of a kind of file, with those that change it recorded."""
    methods = _Methods()
    ctypes.memmove(ctypes.byref(methods), ctypes.byref(usual), ctypes.sizeof(_Methods))

    def write(file: int, data: int, size: int, offset: int) -> int:
        if error := made.take("write", names[file], offset, ctypes.string_at(data, size)):
            return error
        result: int = usual.write(file, data, size, offset)
        return result

    def truncate(file: int, size: int) -> int:
        if error := made.take("truncate", names[file], size):
            return error
        result: int = usual.truncate(file, size)
        return result

    def sync(file: int, flags: int) -> int:
        if error := made.take("sync", names[file]):
            return error
        result: int = usual.sync(file, flags)
        return result

    methods.write, methods.truncate, methods.sync = _WRITE(write), _TRUNCATE(truncate), _SYNC(sync)
    return methods
