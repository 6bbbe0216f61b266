"""SimDisk: a disk that can be full and slow, and that loses with the power what was not synced."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from edgekernel.backends.disk import SystemDisk, SystemFile, SystemFolder
from edgekernel.core.clock import Clock


@dataclass(slots=True)
class _Unsafe:
    """What of a file a power cut would take."""

    size: int = 0
    synced: int = 0
    named: bool = False
    """Whether its name survives."""


class SimDisk:
    """The Disk of a simulated node.

    Its files are real ones in a folder that goes when it is closed, so that a simulation never
    writes where the node would; `mount` takes out what is to stay. Nothing waits for the real
    disk: `sync` notes what would survive, and takes `slow_s` simulated seconds.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin empty; touches nothing yet."""
        self.full = False
        """Whether every write fails for want of space (ENOSPC)."""
        self.slow_s = 0.0
        """How many seconds each sync takes."""
        self._clock = clock
        self._system = SystemDisk()
        self._root: TemporaryDirectory[str] | None = None
        self._mounted: list[Path] = []
        self._open: dict[SimFile | SimFolder, None] = {}
        self._unsafe: dict[Path, _Unsafe] = {}
        self._renamed: list[tuple[Path, bytes | None]] = []

    def mount(self, folder: Path) -> None:
        """Let a folder be the one of this machine: what is written there stays."""
        self._mounted.append(folder.absolute())

    def place(self, path: Path) -> Path:
        """Return where a file or folder of the node is on this machine."""
        absolute = path.absolute()
        if any(absolute.is_relative_to(each) for each in self._mounted):
            return path
        if self._root is None:
            self._root = TemporaryDirectory(prefix="edgekernel-disk-")
        return Path(self._root.name, *absolute.parts[1:])

    def make_folder(self, path: Path) -> None:
        """Make a folder and those around it, if it is not there."""
        self._system.make_folder(self.place(path))

    def take_folder(self, path: Path) -> SimFolder:
        """Have a folder for oneself. Raises BusyError while somebody else has it."""
        folder = SimFolder(self, self._system.take_folder(self.place(path)))
        self._open[folder] = None
        return folder

    def sync_folder(self, path: Path) -> None:
        """Return when the names in a folder survive a power cut."""
        self.take_time()
        place = self.place(path)
        self._renamed = [each for each in self._renamed if each[0].parent != place]
        for file, unsafe in self._unsafe.items():
            unsafe.named = unsafe.named or file.parent == place

    def create(self, path: Path, *, anew: bool = False) -> SimFile:
        """Make a file; one that is there is a FileExistsError, or emptied if made `anew`."""
        place = self.place(path)
        named = place.exists() and self._unsafe.get(place, _Unsafe(named=True)).named
        file = SimFile(self, path, place, self._system.create(place, anew=anew))
        self._unsafe[place] = file.unsafe
        file.unsafe.named = named
        self._open[file] = None
        return file

    def replace(self, path: Path, target: Path) -> None:
        """Give a file the name `target`, in place of what has it, all or nothing."""
        source, place = self.place(path), self.place(target)
        self._renamed += [(source, self._surviving(source)), (place, self._surviving(place))]
        self._system.replace(source, place)
        if source in self._unsafe:
            self._unsafe[place] = self._unsafe.pop(source)
            self._unsafe[place].named = True  # else what had the name before is there again

    def remove(self, path: Path) -> None:
        """Remove a file; harmless if there is none."""
        place = self.place(path)
        self._unsafe.pop(place, None)
        self._system.remove(place)

    def agent_ended(self) -> None:
        """Close what is open, as the kernel does when a process ends."""
        for each in list(self._open):
            each.close()

    def power_lost(self, random: Random) -> None:
        """Lose what was not synced: names, and of the end of each file as much as chance says."""
        self.agent_ended()
        for place, content in reversed(self._renamed):
            self._unsafe.pop(place, None)
            if content is None:
                place.unlink(missing_ok=True)
            else:
                place.write_bytes(content)
        for place, unsafe in self._unsafe.items():
            if not unsafe.named:
                place.unlink(missing_ok=True)
            elif unsafe.synced < unsafe.size:
                os.truncate(place, random.randint(unsafe.synced, unsafe.size))
        self._unsafe.clear()
        self._renamed.clear()

    def close(self) -> None:
        """Remove everything that is not mounted."""
        self.agent_ended()
        if self._root is not None:
            self._root.cleanup()
            self._root = None

    def check_space(self, path: Path) -> None:
        """Raise OSError (ENOSPC) while it is full."""
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def take_time(self) -> None:
        """Let a sync take as long as it does."""
        if self.slow_s:
            self._clock.sleep(self.slow_s)

    def closed(self, what: SimFile | SimFolder) -> None:
        """Note that a file or folder is not open any more."""
        self._open.pop(what, None)

    def _surviving(self, place: Path) -> bytes | None:
        """Return what a name stands for after a power cut now; None: there is no such file."""
        unsafe = self._unsafe.get(place)
        if not place.exists() or (unsafe is not None and not unsafe.named):
            return None
        return place.read_bytes()[: None if unsafe is None else unsafe.synced]


class SimFile:
    """A DiskFile of a simulated disk."""

    def __init__(self, disk: SimDisk, path: Path, place: Path, file: SystemFile) -> None:
        self._disk = disk
        self._path = path
        self._file: SystemFile | None = file
        self.unsafe = _Unsafe()
        """What of it a power cut would take."""

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes; return how many were taken."""
        self._disk.check_space(self._path)
        written = self._opened().write(data)
        self.unsafe.size += written
        return written

    def truncate(self, size: int) -> None:
        """Cut it to `size` bytes."""
        self._opened().truncate(size)
        self.unsafe.size = size
        self.unsafe.synced = min(self.unsafe.synced, size)

    def sync(self) -> None:
        """Return when what was written survives a power cut."""
        size = self.unsafe.size
        self._disk.take_time()
        self._opened()
        self.unsafe.synced = max(self.unsafe.synced, size)

    def close(self) -> None:
        """Give it back. Closing twice is harmless."""
        file, self._file = self._file, None
        if file is not None:
            self._disk.closed(self)
            file.close()

    def _opened(self) -> SystemFile:
        if self._file is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), str(self._path))
        return self._file


class SimFolder:
    """A DiskFolder of a simulated disk."""

    def __init__(self, disk: SimDisk, folder: SystemFolder) -> None:
        self._disk = disk
        self._folder = folder

    def close(self) -> None:
        """Let others have it. Closing twice is harmless."""
        self._disk.closed(self)
        self._folder.close()
