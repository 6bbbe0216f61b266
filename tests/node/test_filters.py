"""The filters of a node file."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgekernel import Quality, filters
from edgekernel.node.filters import SETTINGS, FilterTable

UNCERTAIN, BAD = Quality.UNCERTAIN, Quality.BAD


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ({"median": 5}, filters.Median(5)),
        ({"moving_average": 10}, filters.MovingAverage(10)),
        ({"exponential_average": 0.2}, filters.ExponentialAverage(0.2)),
        ({"delta": 1}, filters.Delta(1.0)),
        ({"clamp": [0, 100]}, filters.Clamp(0.0, 100.0)),
        ({"clamp": {"high": 5.5}}, filters.Clamp(None, 5.5)),
        ({"range_check": [-5, 50]}, filters.RangeCheck(-5.0, 50.0)),
        (
            {"range_check": {"low": 0, "quality": "uncertain"}},
            filters.RangeCheck(0.0, None, UNCERTAIN),
        ),
        ({"rate_check": 2}, filters.RateCheck(2.0)),
        (
            {"rate_check": {"per_s": 0.5, "confirmations": 5, "quality": "uncertain"}},
            filters.RateCheck(0.5, 5, UNCERTAIN),
        ),
        ({"frozen": "10min"}, filters.Frozen(600.0)),
        ({"frozen": 30}, filters.Frozen(30.0)),
        ({"frozen": {"after": "1h", "quality": "bad"}}, filters.Frozen(3600.0, BAD)),
        ({"calibrate": {"offset": -0.5}}, filters.Calibrate(offset=-0.5)),
        ({"calibrate": [[1, 0], [99, 100]]}, filters.Calibrate(points=[(1, 0), (99, 100)])),
        (
            {"calibrate": {"points": [[0, 0], [1, 2], [2, 8]]}},
            filters.Calibrate(points=[(0, 0), (1, 2), (2, 8)]),
        ),
        ({"throttle": "10s"}, filters.Throttle(10.0)),
        ({"debounce": "50ms"}, filters.Debounce(0.05)),
        ({"delayed_on": 2}, filters.DelayedOn(2.0)),
        ({"delayed_off": "1min"}, filters.DelayedOff(60.0)),
    ],
)
def test_each_filter_can_be_written(written: dict[str, Any], same: filters.Filter) -> None:
    """Each filter has a key, with its one setting or a table, and becomes what code would make."""
    made = FilterTable.model_validate(written).make()
    assert type(made) is type(same)
    left, right = ({k: v for k, v in vars(f).items() if k != "_samples"} for f in (made, same))
    assert left == right


def test_no_filter_is_left_out() -> None:
    """Every filter there is has a key in the node file."""
    names = {"".join(w.title() for w in key.split("_")) for key in FilterTable.model_fields}
    assert names | {"Filter"} == set(filters.__all__)
    assert set(SETTINGS) < set(FilterTable.model_fields)


_SCALARS = st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_KEYS = st.sampled_from(
    [*FilterTable.model_fields, "low", "high", "quality", "per_s", "after", "points", "gain"]
)
_VALUES = st.recursive(
    _SCALARS | st.sampled_from(["10s", "bad", "uncertain"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=2))
def test_anything_is_a_filter_or_a_mistake(written: dict[str, Any]) -> None:
    """Whatever is written is one filter that can be made, or is refused."""
    try:
        table = FilterTable.model_validate(written)
    except ValidationError:
        return
    assert isinstance(table.make(), filters.Filter)
