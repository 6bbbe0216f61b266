"""The cache of the build: what was made from the same inputs is not made again."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path


class Cache:
    """Folders and files by the content that they were made from. Without it only time is lost."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str, key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
        """Return what `make` has made of this key, and whether it was there already.

        It is made beside its place and then put there, all or nothing; older ones go.
        """
        path = self.folder / f"{name}-{key}"
        if path.exists():
            os.utime(path)
            return path, True
        new = self.folder / f"{name}-{key}.new"
        _remove(new)
        make(new)
        new.rename(path)
        for other in self.folder.glob(f"{name}-*"):
            if other != path:
                _remove(other)
        return path, False

    def forget(self, *names: str) -> None:
        """Remove what was made under these names, so that it is made anew."""
        for name in names:
            for path in self.folder.glob(f"{name}-*"):
                _remove(path)


def key_of(*parts: str | bytes | Path | Iterable[Path]) -> str:
    """Return a key for texts and for the content of files and folders."""
    digest = hashlib.sha256()
    for part in parts:
        for piece in _pieces(part):
            digest.update(hashlib.sha256(piece).digest())
    return digest.hexdigest()[:16]


def _pieces(part: str | bytes | Path | Iterable[Path]) -> Iterable[bytes]:
    if isinstance(part, str):
        yield part.encode()
    elif isinstance(part, bytes):
        yield part
    elif isinstance(part, Path):
        if part.is_dir():
            for path in sorted(part.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    yield str(path.relative_to(part)).encode()
                    yield oct(path.stat().st_mode & 0o111).encode()
                    yield path.read_bytes()
        else:
            yield part.read_bytes()
    else:
        for each in part:
            yield from _pieces(each)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
