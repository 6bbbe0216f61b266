"""Files that survive a loss of power."""

from __future__ import annotations

import os
from pathlib import Path


def write_safely(path: Path, data: bytes) -> None:
    """Write a file, for its owner alone, that survives a loss of power from here on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Let what was renamed, made and removed in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
