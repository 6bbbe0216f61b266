"""From a node file to its journal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgekernel.core.clock import Clock
from edgekernel.core.errors import ConfigError
from edgekernel.core.time_quality import is_simulated
from edgekernel.hal.disk import Disk
from edgekernel.journal.folder import Limits
from edgekernel.journal.part import Journal
from edgekernel.journal.segment_sink import SegmentSink

if TYPE_CHECKING:
    from edgekernel.node.plan import Plan

_MB = 1_000_000


def open_journal(
    plan: Plan, clock: Clock, folder: Path | None = None, disk: Disk | None = None
) -> Journal | None:
    """Open the journal of a node as its `[journal]` table says; None if it has none.

    A `folder` takes the place of the table's, and of the table itself. Without a `disk` it is that
    of this machine. On a simulated clock nothing is waited for until it is on that, and nothing is
    compressed: what is written is the same on every machine. Raises ConfigError if the folder
    cannot be used.
    """
    from edgekernel.node.journal_table import JournalTable

    table = plan.document.journal
    if table is None and folder is None:
        return None
    where = "--journal" if folder else f"{plan.path.name}: journal.folder"
    table = table or JournalTable(folder=str(folder))
    limits = Limits(int(table.max_mb * _MB), table.max_age, table.max_segments)
    simulated = is_simulated(clock)
    try:
        sink = SegmentSink(
            folder or plan.folder / table.folder,
            limits,
            durable=not simulated or disk is not None,
            compress=table.compress and not simulated,
            now_ns=clock.time_ns,
            disk=disk,
        )
    except OSError as error:
        text = f"{error.strerror}: {error.filename}" if error.strerror else str(error)
        raise ConfigError(f"{where}: {text}") from error
    return Journal(sink, clock, what=table.what, commit_s=table.commit)
