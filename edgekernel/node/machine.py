"""The computer that a node is to run on, as far as `doctor` looks at it."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path


class Machine:
    """The files of a computer below `root`, seen by one user."""

    def __init__(
        self, root: Path = Path("/"), uid: int | None = None, gids: frozenset[int] | None = None
    ) -> None:
        """Look below `root`, as the user of this process unless told otherwise."""
        self._root = root
        self.uid = os.geteuid() if uid is None else uid
        self._gids = frozenset(os.getgroups()) | {os.getegid()} if gids is None else gids

    def path(self, name: str) -> Path:
        """Return where a file such as "/dev/i2c-1" is looked for."""
        return self._root / name.lstrip("/")

    def read(self, name: str) -> str:
        """Return the text of a file; empty if there is none, or it is not for this user."""
        try:
            return self.path(name).read_bytes().decode(errors="replace")
        except OSError:
            return ""

    def exists(self, name: str) -> bool:
        """Say whether a file, or what a link points to, is there."""
        return self.path(name).exists()

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
