"""The wall clock, and who keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel.node.examination.finding import Level
from edgekernel.node.examination.time_service import look_at_time
from tests.node.computers import computer, lay


@pytest.mark.parametrize(
    ("quality", "comm", "level", "text"),
    [
        ("synchronised", "chronyd", Level.OK, "synchronised, by chrony"),
        ("synchronised", "bash", Level.OK, "synchronised; by whom is not known"),
        (
            "unsynchronised",
            "systemd-timesyn",
            Level.WARNING,
            "systemd-timesyncd runs, but the clock is not synchronised",
        ),
        (
            "unsynchronised",
            "bash",
            Level.WARNING,
            "the clock is not synchronised, and no service that does it runs",
        ),
        (
            "unknown",
            "ntpd",
            Level.OK,
            "the kernel does not tell how good its clock is; ntpd runs",
        ),
    ],
)
def test_time(tmp_path: Path, quality: str, comm: str, level: Level, text: str) -> None:
    """What the kernel says of its clock counts; the service says what to ask."""
    lay(tmp_path, {"/proc/1/comm": "systemd\n", "/proc/77/comm": f"{comm}\n"})
    (found,) = look_at_time(computer(tmp_path, quality=quality))
    assert (found.level, found.text) == (level, text)
    assert bool(found.fix) is (level is Level.WARNING)


def test_processes_that_are_hidden(tmp_path: Path) -> None:
    """Where others' processes are hidden, what a service leaves while it runs tells of it."""
    (tmp_path / "run/chrony").mkdir(parents=True)
    (found,) = look_at_time(computer(tmp_path, quality="unsynchronised"))
    assert found.fix.endswith("chronyc sources -v")
