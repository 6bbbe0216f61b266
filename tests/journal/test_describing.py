"""Records in words: one line each, without the control characters of others."""

from __future__ import annotations

import pytest
from hypothesis import given

from edgekernel.journal.describing import source_of, words_of
from edgekernel.journal.records import (
    BusRecord,
    ClockRecord,
    CommandRecord,
    LostRecord,
    OutcomeRecord,
    OutputRecord,
    Record,
)
from tests.journal.records import event, records

READ = ("i2c", "i2c1", "write_read", [0x76, b"\xd0", 1])


@given(records)
def test_any_record(record: Record) -> None:
    """Every record has words and a source, and the words are one line that can be printed."""
    assert isinstance(source_of(record), str)
    assert words_of(record).isprintable()


@pytest.mark.parametrize(
    ("record", "source", "words"),
    [
        (event(1, celsius=21.25, on=True, traceback="..."), "test", "counted celsius=21.25 on=on"),
        (BusRecord(0, 1, *READ, b"\x60", None, "", 1_500_000), "i2c1",
         "write_read(118, [d0], 1) = [60] in 1.5 ms"),
        (BusRecord(0, 1, *READ, None, "NackError", "nobody", 0), "i2c1",
         "write_read(118, [d0], 1): NackError: nobody"),
        (CommandRecord(0, 1, 7, None, "ann", "fan.boost", "", "", {"minutes": 5}, True), "ann",
         "#7 fan.boost minutes=5"),
        (OutcomeRecord(0, 1, 7, "fan.boost", "failed", "KeyError: x", 0.25), "fan.boost",
         "#7 failed after 0.25 s: KeyError: x"),
        (OutputRecord(0, 1, "fan.power", True, False, "bad", "the driver failed"), "fan.power",
         "set to on, is off, bad: the driver failed"),
        (ClockRecord(0, 1, "stepped", -1_500_000_000), "", "stepped, set by -1.500000 s"),
        (LostRecord(0, 1, 3, "damaged"), "", "3 records are missing: damaged"),
    ],
)  # fmt: skip
def test_words(record: Record, source: str, words: str) -> None:
    """What people read of a record."""
    assert (source_of(record), words_of(record)) == (source, words)
