"""What to do where this user may not open a file."""

from __future__ import annotations

import grp
import pwd
import stat
from pathlib import Path


def no_permission(file: Path, subsystem: str) -> str:
    """Say who may open a file, and how to become one of them.

    `subsystem` is what Linux calls its kind, such as "gpio", which is the group's usual name too.
    """
    status = file.stat()
    group = _group(status.st_gid)
    text = f"no permission: it belongs to {_user(status.st_uid)}:{group} "
    text += f"({stat.filemode(status.st_mode)}). "
    if status.st_gid != 0 and status.st_mode & stat.S_IWGRP:
        return text + (
            f"Add the user to the group {group} (sudo usermod -aG {group} $USER) and log in "
            f"again; in a container, start it with --group-add {status.st_gid}"
        )
    return text + (
        f"Give it to a group with a udev rule for the subsystem {subsystem}, as Raspberry Pi OS "
        "does with the group gpio, and add the user to that group"
    )


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:  # in a container the host's groups have no names
        return str(number)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
