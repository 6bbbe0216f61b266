"""Every test of a backend leaves nothing behind."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """Check that a test leaves no thread and no open file."""
    threads, files = set(threading.enumerate()), _open_files()
    yield
    gc.collect()
    assert set(threading.enumerate()) <= threads
    assert _open_files() <= files


def _open_files() -> set[str]:
    return set(os.listdir("/proc/self/fd"))
