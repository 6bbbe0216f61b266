"""What holds for the whole run of the tests of the image: it is told what goes on, it begins with
all that it needs, it ends in time, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

LIMIT_S = 90 * 60.0
"""After this no further test is begun; one that hangs ends by a limit of its own."""

_HERE = ("chroot", "cp", "mount", "setpriv", "unshare")
_IN_TOOLS = (
    "aarch64-linux-gnu-gcc", "debugfs", "fdtput", "make", "mcopy", "mke2fs", "mkenvimage",
    "qemu-system-aarch64", "rauc",
)  # fmt: skip
_FOLDERS = ("usr/bin", "usr/sbin")


def missing(tools: Path) -> list[str]:
    """Return the programs that the tests need and that are neither here nor in the tools root."""
    here = [name for name in _HERE if shutil.which(name) is None]
    return here + [
        str(tools / _FOLDERS[0] / name)
        for name in _IN_TOOLS
        if not any((tools / folder / name).exists() for folder in _FOLDERS)
    ]


def children() -> list[str]:
    """Return the processes that this one has started and that have not ended, with their names."""
    numbers = [
        number
        for task in Path("/proc/self/task").iterdir()
        for number in (task / "children").read_text().split()
    ]
    return [f"{number} ({_name(number)})" for number in numbers]


def _name(number: str) -> str:
    try:
        return Path(f"/proc/{number}/comm").read_text().strip()
    except OSError:
        return "gone"


class Progress:
    """Says which test is at work, and how long those before it took; ends a run that takes long."""

    def __init__(self) -> None:
        self._began = self._test_began = time.monotonic()
        self._count = self._number = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count the tests."""
        self._count = len(session.items)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Say that a test begins; what it needs may have to be booted first."""
        since_s = time.monotonic() - self._began
        if since_s > LIMIT_S:
            pytest.exit(f"image-test: not done after {since_s / 60:.0f} minutes", returncode=1)
        self._number += 1
        self._test_began = time.monotonic()
        print(f"\nimage-test {self._number}/{self._count}: {_short(nodeid)} ...", flush=True)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Say how long it took."""
        took_s = time.monotonic() - self._test_began
        print(f"\nimage-test {self._number}/{self._count}: {_short(nodeid)}: {took_s:.0f} s")


def _short(nodeid: str) -> str:
    return nodeid.rpartition(os.sep)[2]


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Fail if a process of these tests outlives them."""
    yield
    left = children()
    assert not left, f"the tests have left processes: {', '.join(left)}"
