"""Records as JSON: readable, and the same when they are read back."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.journal.records import LostRecord, OpaqueRecord, Record
from edgekernel.journal.text import as_data, as_line, from_line, iso, parse_iso
from tests.journal.records import BEGIN_NS, event, records


@given(records)
def test_round_trip(record: Record) -> None:
    """Records of every type come back from their line of JSON."""
    line = as_line(record, 5)
    assert "\n" not in line
    assert from_line(line) == record


@given(st.integers(-(1 << 70), 1 << 70))
def test_times(time_ns: int) -> None:
    """A time comes back to the nanosecond, whether or not a calendar has it."""
    assert parse_iso(iso(time_ns)) == time_ns


def test_it_can_be_read() -> None:
    """The line says in words what the record has; times are ISO 8601 in UTC."""
    line = as_line(event(1, celsius=21.5, raw=b"\x01\xff"), 3)
    assert json.loads(line) == {
        "number": 3,
        "type": "event",
        "version": 1,
        "time": "2026-01-01T00:00:01.000000000Z",
        "monotonic_ns": 1_000_000_000,
        "seq": 1,
        "source": "test",
        "cause": None,
        "correlation": None,
        "name": "counted",
        "severity": 20,
        "payload": {"celsius": 21.5, "raw": {"$bytes": "01ff"}},
    }


def test_what_json_has_no_form_for() -> None:
    """Bytes, floats that are no number, and mappings that look like them have a form of ours."""
    payload = {"a": math.nan, "b": -math.inf, "c": {"$bytes": "00"}, "d": {"$x": 1}}
    line = as_line(event(1, **payload))
    json.loads(line, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert repr(from_line(line)) == repr(event(1, **payload))


@pytest.mark.parametrize("line", ["", "nonsense", "[]", "{}", '{"type":"event"}', "[" * 100_000])
def test_lines_that_are_none(line: str) -> None:
    """A line that is no record is opaque, with its text."""
    record = from_line(line)
    assert isinstance(record, OpaqueRecord)
    assert record.data == line.encode()


def test_unknown_type() -> None:
    """A record of an unknown type is opaque, with its times and its fields as JSON."""
    line = json.dumps({**as_data(LostRecord(1, BEGIN_NS, 2, "x")), "type": "os.system"})
    record = from_line(line)
    assert isinstance(record, OpaqueRecord)
    assert (record.of_type, record.time_ns, record.reason) == (
        "os.system",
        BEGIN_NS,
        "unknown type",
    )
    assert json.loads(record.data) == {"count": 2, "reason": "x"}


@given(
    st.text(max_size=100)
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.dictionaries(
            st.sampled_from(
                ["type", "version", "time", "monotonic_ns", "$bytes", "count", "reason"]
            ),
            inner,
        ),
    ).map(json.dumps)
)
def test_any_line(line: str) -> None:
    """Any line is a record."""
    assert isinstance(from_line(line), Record)
