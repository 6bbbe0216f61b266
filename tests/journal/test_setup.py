"""The journal of a node: as its table says, in its folder, or a mistake in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgekernel import Runtime, SystemClock
from edgekernel.core.errors import ConfigError
from edgekernel.journal import SegmentSource, open_journal
from edgekernel.journal.folder import segment_files
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock

Write = Callable[..., Path]
TABLE = """
[journal]
folder = "recorded"
max_mb = 1
commit = "5s"
what = ["events"]
"""


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock."""
    with SimClock() as clock:
        yield clock


def test_table(node_file: Write, clock: SimClock, tmp_path: Path) -> None:
    """The table says where, how often and what; the folder is beside the node file."""
    plan = make_plan(node_file(TABLE + '[devices.lamp]\ndriver = "led"\npin = "GPIO17"\n'))
    journal = open_journal(plan, clock)
    assert journal is not None
    runtime, _ = assemble_simulated(plan, clock, Runtime, around=journal.around)
    journal.record(runtime, plan)
    with runtime:
        clock.advance(60)
        assert 12 <= journal.counters()["commits"] <= 14
    journal.close()
    types = {record.type for record in SegmentSource(tmp_path / "recorded")}
    assert types == {"boot", "clock", "config", "event"}


def test_no_table(node_file: Write, clock: SimClock) -> None:
    """A node without the table has no journal."""
    assert open_journal(make_plan(node_file("")), clock) is None


def test_folder_instead(node_file: Write, clock: SimClock, tmp_path: Path) -> None:
    """A folder that is given takes the place of the table's; the rest of the table holds."""
    for text in ("", TABLE):
        where = tmp_path / f"given-{len(text)}"
        journal = open_journal(make_plan(node_file(text)), clock, where)
        assert journal is not None
        journal.record(Runtime(clock=clock))
        journal.close()
        assert len(segment_files(where)) == 1
    assert not (tmp_path / "recorded").exists()


def test_folder_that_cannot_be_used(node_file: Write, clock: SimClock, tmp_path: Path) -> None:
    """A folder that cannot be made, or is taken, is a mistake with file and key, or option."""
    (tmp_path / "recorded").write_text("a file")
    plan = make_plan(node_file(TABLE))
    with pytest.raises(ConfigError, match=r"^node\.toml: journal\.folder: File exists: .*recorded"):
        open_journal(plan, clock)
    first = open_journal(plan, clock, tmp_path / "other")
    assert first is not None
    with pytest.raises(ConfigError, match=r"^--journal: .*another agent"):
        open_journal(plan, clock, tmp_path / "other")
    first.close()


def test_real_time(node_file: Write, tmp_path: Path) -> None:
    """On the real clock the journal is there after the close as well."""
    plan = make_plan(node_file(TABLE))
    journal = open_journal(plan, SystemClock())
    assert journal is not None
    with journal:
        runtime, _ = assemble_simulated(plan, SystemClock(), Runtime, around=journal.around)
        journal.record(runtime, plan)
        with runtime:
            pass
    names = [getattr(record, "name", "") for record in SegmentSource(tmp_path / "recorded")]
    assert names[-1] == "runtime.shutdown"
