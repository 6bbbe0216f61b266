"""What holds for every test: it leaves no thread, no listening port and no child process."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# pytest-xdist says how wide the terminal is, and consoles keep what is said when they are made.
os.environ.pop("COLUMNS", None)

# How fast the machine is decides no test; and where a change is judged, no chance does: examples
# are drawn anew each time by whoever runs the tests, not by continuous integration.
settings.register_profile(
    "any-machine",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any-machine")

_PATIENCE_S = 5.0
_OURS = ("edgekernel", "sup:", "svc:", "stop:")
_ANY_RUNTIMES = (":dispatcher", ":runtime", ":shutdown", ":signal", ":watchdog")
_LISTENING = "0A"  # the state of a TCP socket in /proc/net/tcp


def _threads() -> set[threading.Thread]:
    return {
        thread
        for thread in threading.enumerate()
        if thread is not threading.current_thread()
        and (
            not thread.daemon
            or thread.name.startswith(_OURS)
            or thread.name.endswith(_ANY_RUNTIMES)
        )
    }


def _ports() -> set[str]:
    """The local addresses, in hexadecimal, on which this process listens; Linux only."""
    inodes = set()
    for link in Path("/proc/self/fd").glob("*"):
        try:
            inodes.add(str(link.readlink()))
        except OSError:  # closed since it was listed
            continue
    found = set()
    for table in (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6")):
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        for fields in map(str.split, lines):
            if fields[3] == _LISTENING and f"socket:[{fields[9]}]" in inodes:
                found.add(fields[1])
    return found


def _children() -> set[str]:
    """The process ids of this process' children; Linux only."""
    found: set[str] = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        try:
            found.update(listing.read_text().split())
        except OSError:  # the thread has ended since it was listed
            continue
    return found


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """Fail a test that leaves a thread, an open port or a child process behind."""
    threads, ports, children = _threads(), _ports(), _children()
    yield
    end = time.monotonic() + _PATIENCE_S
    for thread in _threads() - threads:
        thread.join(max(0.0, end - time.monotonic()))
    left = [f"thread {thread.name}" for thread in _threads() - threads]
    left += [f"listening port {port}" for port in _ports() - ports]
    left += [f"child process {child}" for child in _children() - children]
    if left:
        pytest.fail(f"left behind: {', '.join(sorted(left))}")
