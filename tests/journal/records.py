"""Records of every type, for tests that hold for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from edgekernel.journal.records import FIELDS, TYPES, EventRecord, Record

BEGIN_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z

_times = st.integers(0, 1 << 62)
_texts = st.text(max_size=20)
_scalars = st.none() | st.booleans() | st.integers(-(1 << 80), 1 << 80) | _texts
_floats = st.floats(allow_nan=False)
data = st.recursive(
    _scalars | _floats | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=8,
)
"""Plain data of any kind."""

_OF_KIND: dict[type, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    bytes: st.binary(max_size=40),
    dict: st.dictionaries(_texts, data, max_size=4),
    float: _floats,
    int: st.integers(-(1 << 63), (1 << 63) - 1),
    list: st.lists(data, max_size=4),
    str: _texts,
    type(None): st.none(),
}


def _of_type(cls: type[Record]) -> st.SearchStrategy[Record]:
    fields = [st.one_of([_OF_KIND[kind] for kind in kinds]) for _, kinds in FIELDS[cls.type]]
    make: Callable[..., Record] = cls
    return st.builds(make, _times, _times, *fields)


records = st.sampled_from(sorted(TYPES)).flatmap(lambda name: _of_type(TYPES[name]))
"""Records of every type with any content."""


def event(number: int, /, **payload: Any) -> EventRecord:
    """Return the record of an event, a second after the one before."""
    now_ns = number * 1_000_000_000
    payload = payload or {"number": number}
    return EventRecord(
        now_ns, BEGIN_NS + now_ns, number, "test", None, None, "counted", 20, payload
    )
