"""Records: every type is known, versioned, and checked when it is made from data."""

from __future__ import annotations

import pytest
from hypothesis import given

from edgekernel.journal.records import FIELDS, TYPES, Record, make, values_of
from tests.journal.records import event, records


def test_types_are_all_there() -> None:
    """Every class of records is among the types, under its own name, with a version."""
    assert {cls.type: cls for cls in Record.__subclasses__()} == TYPES
    assert all(cls.version >= 1 for cls in TYPES.values())
    assert set(FIELDS) == set(TYPES)


@given(records)
def test_made_of_its_values(record: Record) -> None:
    """A record can be made of its fields."""
    times = record.monotonic_ns, record.time_ns
    assert make(record.type, record.version, *times, values_of(record)) == record


def test_bool_is_no_number() -> None:
    """A truth value in the place of a number is refused."""
    values = values_of(event(1))
    values[0] = True
    with pytest.raises(ValueError, match="'seq' is of type bool"):
        make("event", 1, 0, 0, values)
