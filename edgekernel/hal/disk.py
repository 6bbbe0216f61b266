"""The disk: where a node writes what is to outlive it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class DiskFile(Protocol):
    """A file that is open for writing."""

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes; return how many were taken, at least one. Raises OSError."""
        ...

    def truncate(self, size: int) -> None:
        """Cut it to `size` bytes. Raises OSError."""
        ...

    def sync(self) -> None:
        """Return when what was written survives a power cut. Raises OSError."""
        ...

    def close(self) -> None:
        """Give it back. Closing twice is harmless. Raises OSError."""
        ...


class DiskFolder(Protocol):
    """A folder that one program has for itself."""

    def close(self) -> None:
        """Let others have it. Closing twice is harmless."""
        ...


class Disk(Protocol):
    """Writes files; all of its calls raise OSError.

    A path is one of the node. What is read, is read from `place`.
    """

    def place(self, path: Path) -> Path:
        """Return where a file or folder of the node is on this machine."""
        ...

    def make_folder(self, path: Path) -> None:
        """Make a folder and those around it, if it is not there."""
        ...

    def take_folder(self, path: Path) -> DiskFolder:
        """Have a folder for oneself. Raises BusyError while somebody else has it."""
        ...

    def sync_folder(self, path: Path) -> None:
        """Return when the names in a folder survive a power cut."""
        ...

    def create(self, path: Path, *, anew: bool = False) -> DiskFile:
        """Make a file; one that is there is a FileExistsError, or emptied if made `anew`."""
        ...

    def replace(self, path: Path, target: Path) -> None:
        """Give a file the name `target`, in place of what has it, all or nothing."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file; harmless if there is none."""
        ...
