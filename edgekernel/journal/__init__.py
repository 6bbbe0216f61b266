"""The journal: what a node records of itself, and how it is read."""

from edgekernel.journal.database import DatabaseSink, DatabaseSource
from edgekernel.journal.folder import Limits
from edgekernel.journal.lines import ConsoleSink, LinesSink, LinesSource
from edgekernel.journal.messages import (
    JournalDropped,
    JournalFailed,
    JournalPruned,
    JournalRecovered,
)
from edgekernel.journal.part import Journal
from edgekernel.journal.protocol import Entry, JournalSink, JournalSource, Unreadable
from edgekernel.journal.records import (
    BootRecord,
    BusRecord,
    ClockRecord,
    CommandRecord,
    ConfigRecord,
    EdgeRecord,
    EventRecord,
    LostRecord,
    OpaqueRecord,
    OutcomeRecord,
    OutputRecord,
    Record,
)
from edgekernel.journal.segment_sink import SegmentSink
from edgekernel.journal.segment_source import SegmentSource
from edgekernel.journal.setup import open_journal

__all__ = [
    "BootRecord",
    "BusRecord",
    "ClockRecord",
    "CommandRecord",
    "ConfigRecord",
    "ConsoleSink",
    "DatabaseSink",
    "DatabaseSource",
    "EdgeRecord",
    "Entry",
    "EventRecord",
    "Journal",
    "JournalDropped",
    "JournalFailed",
    "JournalPruned",
    "JournalRecovered",
    "JournalSink",
    "JournalSource",
    "Limits",
    "LinesSink",
    "LinesSource",
    "LostRecord",
    "OpaqueRecord",
    "OutcomeRecord",
    "OutputRecord",
    "Record",
    "SegmentSink",
    "SegmentSource",
    "Unreadable",
    "open_journal",
]
