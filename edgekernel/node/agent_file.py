"""Files in which the agent, which has no rights, tells root something: on the board in its own
folder in memory, so that nothing outlives a boot."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

_MAX_BYTES = 262_144


def write_agent_file(document: Any, path: Path) -> None:
    """Write plain data, all or nothing. Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(document), encoding="utf-8")
    new.replace(path)


def read_agent_file(path: Path) -> Any:
    """Return what is in a file of the agent. Raises OSError, and ValueError for what is no data.

    Nothing is followed: not a link, and no pipe is waited for.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{path} is no plain file")
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError(f"{path} has more than {_MAX_BYTES} bytes")
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError(f"{path}: {error}") from None
