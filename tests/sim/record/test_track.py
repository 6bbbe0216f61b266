"""A track: how long a signal was what, and a curve that keeps every extreme in bounded space."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Quality
from edgekernel.sim.record.track import BUCKETS, Track

GOOD, UNCERTAIN, BAD = Quality.GOOD, Quality.UNCERTAIN, Quality.BAD


def test_number() -> None:
    """The mean is weighed by time, and what was BAD does not count in it."""
    track = Track("room.temperature", "°C", float, 100)
    track.note(0, None, BAD)
    track.note(10, 20.0, GOOD)
    track.note(40, 30.0, UNCERTAIN)
    track.note(50, 30.0, BAD)
    track.note(60, 10.0, GOOD)
    track.close(100)
    assert (track.low, track.high, track.changes) == (10, 30, 2)
    assert track.mean == pytest.approx((30 * 20 + 10 * 30 + 40 * 10) / 80)
    assert track.quality_s == {GOOD: 70, UNCERTAIN: 10, BAD: 20}
    doubts = [(each.begin_s, each.end_s, each.state) for each in track.doubtful]
    assert doubts == [(0, 10, BAD), (40, 50, UNCERTAIN), (50, 60, BAD)]


def test_switch() -> None:
    """Of a switch the times on and at the safe value count, and how often it has changed."""
    track = Track("fan.power", "", bool, 60, is_output=True, safe=True)
    track.note(0, True, GOOD)
    track.note(10, False, GOOD)
    track.note(30, True, GOOD)
    track.close(45)
    track.close(60)
    assert (track.on_s, track.safe_s, track.changes) == (40, 40, 2)
    assert [(each.begin_s, each.end_s) for each in track.on] == [(0, 10), (30, 60)]


def test_text() -> None:
    """A text has changes and qualities, and no mean."""
    track = Track("i2c1.state", "", str, 60)
    track.note(0, "closed", GOOD)
    track.note(20, "open", GOOD)
    track.close(60)
    assert (track.changes, track.mean, track.quality_s[GOOD]) == (1, None, 60)


def test_never_known() -> None:
    """What never had a value has no mean, and was BAD all the time."""
    track = Track("room.temperature", "°C", float, 60)
    track.note(0, None, BAD)
    track.close(60)
    assert (track.mean, track.quality_s[BAD], track.curve) == (None, 60, [None] * BUCKETS)


@given(
    steps=st.lists(
        st.tuples(st.floats(0.01, 50), st.floats(-1e3, 1e3), st.sampled_from([GOOD, BAD])),
        min_size=1,
        max_size=60,
    )
)
def test_bounded_and_complete(steps: list[tuple[float, float, Quality]]) -> None:
    """Whatever is noted, the qualities add up to the span, the mean lies between the extremes, and
    these are those of the curve."""
    span_s = sum(seconds for seconds, _, _ in steps)
    track = Track("x.y", "", float, span_s)
    at_s = 0.0
    for seconds, value, quality in steps:
        track.note(at_s, value, quality)
        at_s += seconds
    track.close(at_s)
    assert sum(track.quality_s.values()) == pytest.approx(span_s)
    assert len(track.curve) == BUCKETS
    good = [value for _, value, quality in steps if quality is GOOD]
    known = [each for each in track.curve if each is not None]
    if not good:
        assert track.mean is None
        return
    assert track.mean is not None
    assert min(good) == track.low == min(low for low, _ in known)
    assert max(good) == track.high == max(high for _, high in known)
    assert track.low - 1e-6 <= track.mean <= track.high + 1e-6
