"""The computer that a node is to run on: its files, as far as somebody looks at them."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from edgekernel.core.time_quality import system_quality
from edgekernel.node.nvme import health_log

_MAX_BYTES = 262_144
"""How much of a file is read: more than any of those that are looked at has."""
_MAX_FILES = 4096
"""How many files a pattern gives, at most: a computer has as many processes, not more."""


class Machine:
    """The files of a computer below `root`, seen by one user.

    A file that is not there, or not for this user, is empty: looking never raises.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        uid: int | None = None,
        gids: frozenset[int] | None = None,
        *,
        statvfs: Callable[[Path], os.statvfs_result] = os.statvfs,
        time_quality: Callable[[], str] = system_quality,
        now_s: Callable[[], float] = time.time,
        nvme_log: Callable[[Path], bytes] = health_log,
    ) -> None:
        """Look below `root`, as the user of this process unless told otherwise.

        The others ask the kernel what no file tells: the room of a file system, whether the clock
        is "synchronised", "unsynchronised" or "unknown", the seconds since 1970, and the health of
        an NVMe disk.
        """
        self._root = root
        self._statvfs = statvfs
        self._nvme_log = nvme_log
        self.time_quality = time_quality
        self.now_s = now_s
        self.uid = os.geteuid() if uid is None else uid
        self._gids = frozenset(os.getgroups()) | {os.getegid()} if gids is None else gids

    def path(self, name: str) -> Path:
        """Return where a file such as "/dev/i2c-1" is looked for."""
        return self._root / name.lstrip("/")

    def read(self, name: str) -> str:
        """Return the text of a file; empty if there is none, or it is not for this user."""
        return self.read_bytes(name).decode(errors="replace")

    def read_bytes(self, name: str) -> bytes:
        """Return the content of a file, 256 KiB at most; empty if there is none, or it is not for
        this user."""
        try:
            with self.path(name).open("rb") as file:
                return file.read(_MAX_BYTES)
        except OSError:
            return b""

    def number(self, name: str, base: int = 10) -> int | None:
        """Return the whole number that a file holds; None without one."""
        try:
            return int(self.read(name), base)
        except ValueError:
            return None

    def find(self, pattern: str) -> list[str]:
        """Return the names that fit a pattern such as "/sys/class/hwmon/*/name", sorted; none if a
        folder is not for this user."""
        try:
            found = islice(self._root.glob(pattern.lstrip("/")), _MAX_FILES)
            return sorted(f"/{each.relative_to(self._root)}" for each in found)
        except OSError:
            return []

    def exists(self, name: str) -> bool:
        """Say whether a file, or what a link points to, is there."""
        try:
            return self.path(name).exists()
        except OSError:
            return False

    def modified_s(self, name: str) -> float | None:
        """Return when a file was written, in seconds since 1970; None without it."""
        try:
            return self.path(name).stat().st_mtime
        except OSError:
            return None

    def room(self, name: str) -> os.statvfs_result | None:
        """Return how a folder's file system is, or that of the nearest folder around it which is
        there; None if nobody can tell."""
        path = self.path(name)
        for place in (path, *path.parents):
            try:
                return self._statvfs(place)
            except FileNotFoundError:
                continue
            except OSError:
                return None
        return None

    def nvme_log(self, name: str) -> bytes:
        """Return the SMART / Health log page of an NVMe controller; raises OSError."""
        return self._nvme_log(self.path(name))

    def may_use(self, name: str) -> bool:
        """Say whether the user may read and write a file, by its owner, group and mode."""
        found = self.path(name).stat()
        if self.uid == 0:
            return True
        if found.st_uid == self.uid:
            wanted = stat.S_IRUSR | stat.S_IWUSR
        elif found.st_gid in self._gids:
            wanted = stat.S_IRGRP | stat.S_IWGRP
        else:
            wanted = stat.S_IROTH | stat.S_IWOTH
        return found.st_mode & wanted == wanted

    def group_of(self, name: str) -> str:
        """Return the name of a file's group."""
        gid = self.path(name).stat().st_gid
        try:
            return grp.getgrgid(gid).gr_name
        except KeyError:
            return str(gid)

    def is_member(self, group: str) -> bool:
        """Say whether the user is entered in a group, though perhaps since the last login only."""
        try:
            return self.user in grp.getgrnam(group).gr_mem
        except KeyError:
            return False

    @property
    def user(self) -> str:
        """The user's name."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    @property
    def compatible(self) -> tuple[str, ...]:
        """The device tree's `compatible` strings; none on a computer without one."""
        text = self.read("/proc/device-tree/compatible").rstrip("\0")
        return tuple(text.split("\0")) if text else ()

    @property
    def boot_config(self) -> str:
        """The name of the Raspberry Pi's config.txt; empty on others."""
        files = ("/boot/firmware/config.txt", "/boot/config.txt")
        return next((name for name in files if self.exists(name)), "")
