"""What the tests of the journal share: folders, and nothing left open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.conftest import modules_are_forgotten, node_file

__all__ = ["folder", "modules_are_forgotten", "no_file_is_left_open", "node_file"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a journal, which is not there yet."""
    return tmp_path / "journal"


@pytest.fixture(autouse=True)
def no_file_is_left_open(tmp_path: Path) -> Iterator[None]:
    """Check that no file below the test's folder is left open."""
    yield
    links = [f"/proc/self/fd/{each}" for each in os.listdir("/proc/self/fd")]
    names = [os.readlink(link) for link in links if os.path.islink(link)]
    assert [name for name in names if name.startswith(str(tmp_path))] == []
