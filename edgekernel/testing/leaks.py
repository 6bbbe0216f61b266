"""Leaks of the process: threads that run on and ports that listen on after a test."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

_LISTENING = "0A"  # the state of a TCP socket in /proc/net/tcp
_PATIENCE_S = 2.0


class ThreadsAndPorts:
    """What the process had when this was made, to be compared with what it has later."""

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._sockets = _sockets()

    def left(self) -> list[str]:
        """Return the threads that run and the ports that listen since then, each with its place.

        Threads that are about to end are given 2 real seconds.
        """
        end = time.monotonic() + _PATIENCE_S
        threads = [each for each in threading.enumerate() if each not in self._threads]
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))
        running = [f"thread {each.name}{_place(each)}" for each in threads if each.is_alive()]
        return running + [f"listening TCP port {port}" for port in _ports(self._new_sockets())]

    def _new_sockets(self) -> set[str]:
        return _sockets() - self._sockets


def _place(thread: threading.Thread) -> str:
    """Return where a thread is in the function that it was made for."""
    found = frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if frame.f_code.co_filename != threading.__file__:
            found = frame
        frame = frame.f_back
    if found is None:  # it has ended
        return ""
    return f", at {found.f_code.co_filename}:{found.f_lineno} in {found.f_code.co_name}"


def _sockets() -> set[str]:
    """Return the inodes of the process' sockets; Linux only."""
    found = set()
    for link in Path("/proc/self/fd").glob("*"):
        try:
            target = str(link.readlink())
        except OSError:  # closed since it was listed
            continue
        if target.startswith("socket:["):
            found.add(target[len("socket:[") : -1])
    return found


def _ports(inodes: set[str]) -> list[int]:
    """Return the TCP ports on which these sockets listen."""
    found = set()
    for table in (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6")):
        lines = table.read_text().splitlines()[1:] if inodes and table.exists() else []
        for fields in map(str.split, lines):
            if fields[3] == _LISTENING and fields[9] in inodes:
                found.add(int(fields[1].rpartition(":")[2], 16))
    return sorted(found)
