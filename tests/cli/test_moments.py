"""Times on the command line: dates, times of the last day, and how long before the end."""

from __future__ import annotations

import click
import pytest

from edgekernel.cli.moments import option_ns, wall_time_ns
from edgekernel.journal.text import iso, parse_iso

LAST_NS = parse_iso("2026-01-31T12:00:00.500000000Z")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-01-31T11:00:00", "2026-01-31T11:00:00.000000000Z"),
        ("2026-01-31T11:00:00+01:00", "2026-01-31T10:00:00.000000000Z"),
        ("2026-01-31", "2026-01-31T00:00:00.000000000Z"),
        ("12:00", "2026-01-31T12:00:00.000000000Z"),
        ("11:59:58.25", "2026-01-31T11:59:58.250000000Z"),
        ("12:01", "2026-01-30T12:01:00.000000000Z"),
        ("90s", "2026-01-31T11:58:30.500000000Z"),
        ("0.25ms", "2026-01-31T12:00:00.499750000Z"),
    ],
)
def test_times(text: str, meant: str) -> None:
    """Each way of writing a time is understood; a time of day is the latest one."""
    assert iso(wall_time_ns(text, LAST_NS)) == meant


@pytest.mark.parametrize("text", ["", "soon", "25:00", "10 min", "-5s"])
def test_no_time(text: str) -> None:
    """What is no time is refused with what is one."""
    with pytest.raises(click.BadParameter, match="such as 10min"):
        option_ns("--from", text, LAST_NS)


def test_none() -> None:
    """An option that is not given is none."""
    assert option_ns("--from", None, LAST_NS) is None
