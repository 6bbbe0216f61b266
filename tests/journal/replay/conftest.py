"""What the tests of replays share: recorded runs of a shed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journal.conftest import folder, modules_are_forgotten, no_file_is_left_open
from tests.journal.replay.recorded import record, write_shed

__all__ = ["folder", "modules_are_forgotten", "no_file_is_left_open"]


@pytest.fixture
def shed(tmp_path: Path) -> Path:
    """The node file of the shed, its application with the bug beside it."""
    return write_shed(tmp_path / "shed")


@pytest.fixture
def journal(shed: Path, folder: Path) -> Path:
    """The journal of four seconds in the shed, on simulated time."""
    record(shed, folder)
    return folder
