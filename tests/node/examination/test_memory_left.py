"""The memory that is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel.node.examination.finding import Level
from edgekernel.node.examination.memory_left import look_at_memory
from tests.node.computers import computer, lay


@pytest.mark.parametrize(
    ("total_kb", "available_kb", "level"),
    [
        (3_884_600, 3_000_000, Level.OK),
        (430_000, 200_000, Level.OK),
        (430_000, 60_000, Level.WARNING),
        (8_000_000, 300_000, Level.WARNING),
    ],
)
def test_memory(tmp_path: Path, total_kb: int, available_kb: int, level: Level) -> None:
    """Too little for an agent is a warning, and so is a small share of much."""
    lay(tmp_path, {"/proc/meminfo": f"MemTotal: {total_kb} kB\nMemAvailable: {available_kb} kB\n"})
    (found,) = look_at_memory(computer(tmp_path))
    assert found.level is level
    assert f"{available_kb * 1.024 / 1000:,.0f} MB of " in found.text


def test_nobody_tells(tmp_path: Path) -> None:
    """Where the kernel's figures are hidden, that is what is said."""
    (found,) = look_at_memory(computer(tmp_path))
    assert (found.level, found.text) == (Level.OK, "nobody can tell how much is available")
