"""JSON lines: records round-trip through a file and through a terminal's stream."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.journal import ConsoleSink, LinesSink, LinesSource
from edgekernel.journal.records import OpaqueRecord, Record
from tests.journal.records import BEGIN_NS, event, records

SECOND = 1_000_000_000


@given(written=st.lists(records, max_size=5))
def test_file(written: list[Record], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Records come back from a file in order, numbered by line."""
    path = tmp_path_factory.mktemp("lines") / "journal.jsonl"
    sink = LinesSink(path)
    for record in written:
        sink.write(record)
    sink.close()
    sink.close()
    entries = list(LinesSource(path).entries())
    assert [entry.record for entry in entries] == written
    assert [entry.number for entry in entries] == list(range(len(written)))


@given(written=st.lists(records, max_size=5))
def test_console(written: list[Record], tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a console sink prints can be read back as JSON lines."""
    stream = io.StringIO()
    sink = ConsoleSink(stream)
    for record in written:
        sink.write(record)
    sink.flush()
    sink.close()
    assert not stream.closed
    path = tmp_path_factory.mktemp("console") / "saved.jsonl"
    path.write_text(stream.getvalue(), encoding="utf-8", newline="\n")
    assert [entry.record for entry in LinesSource(path).entries()] == written


def test_console_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a stream a console sink prints on standard output, in words if asked to."""
    ConsoleSink(shown=lambda record: record.type.upper()).write(event(1))
    assert capsys.readouterr().out == "EVENT\n"


def test_flush_makes_it_visible(tmp_path: Path) -> None:
    """After a flush others see the lines; a second sink appends."""
    path = tmp_path / "journal.jsonl"
    for number in range(2):
        sink = LinesSink(path)
        sink.write(event(number))
        sink.flush()
        assert len(path.read_text().splitlines()) == number + 1
        sink.close()


def test_lines_that_are_none(tmp_path: Path) -> None:
    """Lines that are no records are opaque and counted, and the others are read."""
    path = tmp_path / "journal.jsonl"
    sink = LinesSink(path)
    sink.write(event(0))
    sink.close()
    good = path.read_bytes()
    path.write_bytes(good + b"\xff\xfe nonsense\n\n" + good + good[:20])
    source = LinesSource(path)
    first, bad, second, torn = (entry.record for entry in source.entries())
    assert (first, second) == (event(0), event(0))
    assert isinstance(bad, OpaqueRecord)
    assert isinstance(torn, OpaqueRecord)
    assert source.unreadable.records == 2


def test_part_of_it(tmp_path: Path) -> None:
    """Reading can begin at a line, and be limited to a time."""
    path = tmp_path / "journal.jsonl"
    sink = LinesSink(path)
    for number in range(10):
        sink.write(event(number))
    sink.close()
    limits = {"since_ns": BEGIN_NS + 3 * SECOND, "until_ns": BEGIN_NS + 7 * SECOND}
    found = [entry.number for entry in LinesSource(path).entries(number=5, **limits)]
    assert found == [5, 6]
