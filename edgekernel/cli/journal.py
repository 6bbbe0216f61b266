"""`edgekernel journal`: what a node has recorded, as people read it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import click
from rich.text import Text

from edgekernel.cli.console import fail, fail_to_write, out
from edgekernel.cli.exits import Exit
from edgekernel.cli.moments import option_ns
from edgekernel.core.messages import Severity
from edgekernel.journal import Entry, OpaqueRecord, SegmentSource, Unreadable
from edgekernel.journal.describing import place_of, source_of, words_of
from edgekernel.journal.folder import segment_files
from edgekernel.journal.records import TYPES, EventRecord, LostRecord
from edgekernel.journal.text import as_line, iso

_FOLLOW_S = 0.5
_COLOURS = {
    Severity.WARNING: "yellow",
    Severity.ERROR: "red",
    Severity.CRITICAL: "bold red",
}
_TYPES = sorted(TYPES)


@click.group()
def journal() -> None:
    """Read what a node has recorded.

    A node records itself if its node file has a [journal] table, or with `run --journal DIR`.

    \b
      edgekernel journal show DIR --since 10min      the last ten minutes of it
      edgekernel journal show DIR --type command     who has asked for what
      edgekernel journal show DIR --json > all.jsonl
    """


@dataclass(frozen=True)
class _Wanted:
    since_ns: int | None
    until_ns: int | None
    types: Collection[str]
    sources: Collection[str]

    def has(self, entry: Entry) -> bool:
        """Say whether an entry is asked for."""
        record = entry.record
        if self.types and record.type not in self.types:
            return False
        sources = self.sources
        return not sources or any(fnmatchcase(source_of(record), each) for each in sources)


@journal.command("show")
@click.argument("folder", metavar="DIR", type=click.Path(readable=False, path_type=Path))
@click.option("--since", metavar="TIME", help="Only from this time on.")
@click.option("--until", metavar="TIME", help="Only before this time.")
@click.option("--type", "types", multiple=True, type=click.Choice(_TYPES), help="Only this type.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME",
    help="Only what comes from NAME: a part, a bus, a line, a command or an output; * is any text.",
)
@click.option("--json", "as_json", is_flag=True, help="Print every record as a line of JSON.")
@click.option("--follow", is_flag=True, help="Wait for more, until Ctrl-C.")
def show_journal(
    folder: Path,
    since: str | None,
    until: str | None,
    types: tuple[str, ...],
    sources: tuple[str, ...],
    as_json: bool,
    follow: bool,
) -> None:
    """Show the journal in the folder DIR, the oldest record first.

    TIME is a date and time in UTC, such as 2026-01-31T12:00:00, a time of the last day, such as
    12:00, or how long before the last record, such as 10min (ms, s, min, h, d). Options that are
    given twice widen the choice.
    A line has the record's number, its time, its type, where it comes from, and what it says.

    Exits with 1 if there is no journal, or if something in it cannot be read: how much, stands in
    the last line. What can be read is shown all the same.
    """
    source = SegmentSource(folder)
    try:
        if not segment_files(folder):
            fail(Exit.REFUSED, [f"{folder}: no journal: there is no segment (*.ekj) in it"])
        last_ns = (source.last_ns() or 0) if since or until else 0
        limits = option_ns("--since", since, last_ns), option_ns("--until", until, last_ns)
        wanted = _Wanted(*limits, types, sources)
        unreadable = _print(source, wanted, as_json, follow)
    except OSError as error:
        fail(Exit.REFUSED, [f"{folder}: {error.strerror or error}"])
    if unreadable.records or unreadable.places:
        fail(Exit.REFUSED, [_sum(folder, unreadable)])


def _print(source: SegmentSource, wanted: _Wanted, as_json: bool, follow: bool) -> Unreadable:
    entries = _following(source, wanted) if follow else _all(source, wanted)
    try:
        for entry in entries:
            if not wanted.has(entry):
                continue
            _write(entry, as_json)
    except KeyboardInterrupt:  # whoever was reading has seen enough
        raise click.exceptions.Exit(Exit.DONE) from None
    return source.unreadable


def _write(entry: Entry, as_json: bool) -> None:
    try:
        if as_json:
            click.echo(as_line(entry.record, entry.number))
        else:
            out.print(_line(entry), soft_wrap=True)
    except OSError as error:
        fail_to_write(error)


def _all(source: SegmentSource, wanted: _Wanted) -> Iterator[Entry]:
    return source.entries(since_ns=wanted.since_ns, until_ns=wanted.until_ns)


def _following(source: SegmentSource, wanted: _Wanted) -> Iterator[Entry]:
    number = 0
    while True:
        limits = {"since_ns": wanted.since_ns, "until_ns": wanted.until_ns}
        for entry in source.entries(number=number, **limits):
            if entry.number is not None:
                missing = entry.record.count if isinstance(entry.record, LostRecord) else 1
                number = entry.number + missing
                yield entry
        time.sleep(_FOLLOW_S)


def _line(entry: Entry) -> Text:
    record = entry.record
    number = "-" if entry.number is None else str(entry.number)
    when = "-" if record.time_ns == 0 else iso(record.time_ns)[:23].replace("T", " ")
    head = f"{number:>8}  {when:<23}  {record.type:<8} {source_of(record):<22} "
    colour = "red" if isinstance(record, OpaqueRecord | LostRecord) else ""
    if isinstance(record, EventRecord):
        colour = next((c for s, c in reversed(_COLOURS.items()) if record.severity >= s), "")
    return Text(f"{head}{words_of(record)} {place_of(record)}".rstrip(), colour)


def _sum(folder: Path, unreadable: Unreadable) -> str:
    places = f"{unreadable.places} places with {unreadable.size} bytes"
    return f"{folder}: not readable: {unreadable.records} records, {places}"
