"""The journal of a run that the command line starts: opened before it, closed behind it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekernel.core.clock import Clock
from edgekernel.node.plan import Plan

if TYPE_CHECKING:
    from edgekernel.backends.backend import Backend
    from edgekernel.journal import Journal


def open_recording(
    plan: Plan, clock: Clock, folder: Path | None, stack: ExitStack
) -> Journal | None:
    """Open a journal in `folder`, or as the node file says, until the end of `stack`.

    None if neither asks for one. Raises ConfigError if the folder cannot be used. What keeps the
    journal from being complete is told on stderr at its end.
    """
    if folder is None and plan.document.journal is None:
        return None
    from edgekernel.journal import open_journal

    journal = open_journal(plan, clock, folder)
    if journal is not None:
        stack.callback(close_recording, journal)
    return journal


def as_it_is(backend: Backend) -> Backend:
    """Return a backend that nobody records."""
    return backend


def close_recording(journal: Journal) -> None:
    """End a journal, and tell on stderr what keeps it from being complete."""
    if not journal.close() or journal.problem():
        click.echo(
            f"the journal is not complete: {journal.problem() or 'the disk hangs'}", err=True
        )
