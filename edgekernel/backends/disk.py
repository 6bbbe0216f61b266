"""SystemDisk: the file systems of this machine."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from edgekernel.core.errors import BusyError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class SystemDisk:
    """The Disk that a node has on a real machine."""

    def place(self, path: Path) -> Path:
        """Return the path itself."""
        return path

    def make_folder(self, path: Path) -> None:
        """Make a folder and those around it, if it is not there."""
        path.mkdir(parents=True, exist_ok=True)

    def take_folder(self, path: Path) -> SystemFolder:
        """Have a folder for oneself, by flock(2). Raises BusyError while somebody else has it."""
        return SystemFolder(path)

    def sync_folder(self, path: Path) -> None:
        """Return when the names in a folder survive a power cut (fsync)."""
        descriptor = os.open(path, _FOLDER)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def create(self, path: Path, *, anew: bool = False) -> SystemFile:
        """Make a file; one that is there is a FileExistsError, or emptied if made `anew`."""
        return SystemFile(path, anew)

    def replace(self, path: Path, target: Path) -> None:
        """Give a file the name `target`, in place of what has it, all or nothing."""
        os.replace(path, target)

    def remove(self, path: Path) -> None:
        """Remove a file; harmless if there is none."""
        path.unlink(missing_ok=True)


class SystemFile:
    """A DiskFile of the operating system."""

    def __init__(self, path: Path, anew: bool) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags | (os.O_TRUNC if anew else os.O_EXCL), 0o640)

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes; return how many were taken."""
        return os.write(self._descriptor, data)

    def truncate(self, size: int) -> None:
        """Cut it to `size` bytes."""
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        """Return when what was written survives a power cut (fdatasync)."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Give it back. Closing twice is harmless."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class SystemFolder:
    """A DiskFolder of the operating system."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, _FOLDER)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            if error.errno != errno.EWOULDBLOCK:
                raise
            raise BusyError(f"{path}: another agent writes there") from None

    def close(self) -> None:
        """Let others have it. Closing twice is harmless."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
