"""Filters that shape single values: Calibrate, Clamp, Delta."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgekernel import ConfigError
from edgekernel.core.filters import Calibrate, Clamp, Delta
from tests.core.sampling import (
    BAD,
    GOOD,
    RANK,
    UNCERTAIN,
    Timed,
    numbers,
    run,
    sample,
    sequences,
    values,
)

moderate = st.floats(-1e6, 1e6)
tables = st.lists(st.tuples(moderate, moderate), min_size=2, max_size=8)


def test_calibrate_by_gain_and_offset() -> None:
    """The value is multiplied, then shifted."""
    assert values([Calibrate(gain=2, offset=-1)], 0, 10) == [-1, 19]


def test_calibrate_by_two_points() -> None:
    """Two points are a line, inside and beyond: ice water measured as 1.0, boiling as 99.0."""
    out = values([Calibrate(points=[(1.0, 0.0), (99.0, 100.0)])], 1.0, 50.0, 99.0, -48.0, 148.0)
    assert out == pytest.approx([0.0, 50.0, 100.0, -50.0, 150.0])


def test_calibrate_by_a_table() -> None:
    """Between points it goes straight, and the table may fall, as an NTC's does."""
    table = [(100.0, 80.0), (200.0, 40.0), (400.0, 20.0)]
    out = values([Calibrate(points=table)], 100.0, 150.0, 200.0, 300.0, 400.0, 50.0, 500.0)
    assert out == pytest.approx([80.0, 60.0, 40.0, 30.0, 20.0, 100.0, 10.0])


@given(tables, st.lists(moderate, min_size=2, max_size=10), st.booleans())
def test_calibration_is_monotone(
    table: list[tuple[float, float]], measured: list[float], falling: bool
) -> None:
    """Where the true values rise (or fall) along the points, what comes out never turns back."""
    xs = sorted({x for x, _ in table})
    ys = sorted((y for _, y in table), reverse=falling)[: len(xs)]
    assume(len(xs) >= 2)
    out = values([Calibrate(points=list(zip(xs, ys, strict=True)))], *sorted(measured))
    assume(all(map(math.isfinite, out)))
    assert out == sorted(out, reverse=falling)


@given(tables)
def test_calibration_keeps_its_points(table: list[tuple[float, float]]) -> None:
    """A measured value that is a point comes out as exactly the true value of it."""
    points = sorted(dict(table).items())
    assume(len(points) >= 2)
    assert values([Calibrate(points=points)], *(x for x, _ in points)) == [y for _, y in points]


@given(st.lists(numbers, max_size=10), numbers, numbers)
def test_clamp(given: list[float], one: float, other: float) -> None:
    """What comes out lies within the limits; what lay there is unchanged; twice is as once."""
    low, high = min(one, other), max(one, other)
    out = values([Clamp(low, high)], *given)
    assert all(low <= value <= high for value in out)
    assert [b for a, b in zip(given, out, strict=True) if low <= a <= high] == [
        a for a in given if low <= a <= high
    ]
    assert values([Clamp(low, high), Clamp(low, high)], *given) == out


def test_clamp_on_one_side() -> None:
    """A limit may be left out."""
    assert values([Clamp(low=0)], -1, 1e9) == [0, 1e9]
    assert values([Clamp(high=0)], -1, 1e9) == [-1, 0]


def test_delta() -> None:
    """A value passes if it is far enough from the last one that has passed, not from the last."""
    assert values([Delta(1)], 20.0, 20.5, 20.9, 21.0, 20.1, 20.0) == [20.0, 21.0, 20.0]


def test_delta_takes_a_whole_step_for_one() -> None:
    """Steps of exactly the delta pass, although the difference of floats may be a little less."""
    steps = [20.0, 20.1, 20.2, 20.3, 20.4]
    assert values([Delta(0.1)], *steps) == steps


@given(sequences(st.floats(-1e6, 1e6)), st.floats(0.001, 1000.0))
def test_delta_never_is_far_off(given: list[Timed], at_least: float) -> None:
    """What was told last is never further away than the delta from what is, at the same quality;
    and twice is as once."""
    told: Any = None
    out = dict(run([Delta(at_least)], given, 1e6))
    for at, each in given:
        told = out.get(at, told)
        latest = [e for t, e in given if t == at][-1]
        if each is latest:
            assert told.quality is each.quality
            assert abs(told.value - each.value) <= at_least
    once = run([Delta(at_least)], given, 1e6)
    assert run([Delta(at_least), Delta(at_least)], given, 1e6) == once


def test_delta_lets_a_quality_pass() -> None:
    """Another quality passes with a value that is hardly new; after BAD the next value passes."""
    coming = [
        (0.0, sample(20.0)),
        (1.0, sample(20.1, UNCERTAIN)),
        (2.0, sample(20.2, UNCERTAIN)),
        (3.0, sample(20.0)),
        (4.0, sample(20.0, BAD)),
        (5.0, sample(20.0)),
    ]
    out = [(each.value, each.quality) for _, each in run([Delta(1)], coming, 10)]
    assert out == [(20.0, GOOD), (20.1, UNCERTAIN), (20.0, GOOD), (20.0, BAD), (20.0, GOOD)]


@given(
    st.sampled_from([Calibrate(gain=2, offset=1), Clamp(-1, 1), Delta(0.5)]),
    sequences(st.floats(-1e6, 1e6)),
)
def test_no_quality_is_invented(shaping: Any, given: list[Timed]) -> None:
    """P4: what comes out at a time has a quality that came in then, or a worse one."""
    for at, each in run([shaping], given, 1e6):
        least = min(RANK.index(e.quality) for t, e in given if t == at)
        assert RANK.index(each.quality) >= least


def test_what_becomes_infinite_is_bad() -> None:
    """A calculation that leaves the finite numbers gives a BAD sample that says so."""
    [(_, out)] = run([Calibrate(gain=1e300)], [(0.0, sample(1e300))], 1)
    assert (out.quality, out.reason) == (BAD, "inf is no finite number")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"points": [(0, 0)]}, "points are two or more"),
        ({"points": [(0, 0), (0, 1)]}, "the measured values of the points rise"),
        ({"points": [(1, 0), (0, 1)]}, "the measured values of the points rise"),
        ({"points": [(0, 0, 0), (1, 1, 1)]}, "a point is a measured and a true value"),
        ({"points": [(0, 0), (1, math.inf)]}, "a point is a measured and a true value"),
        ({"points": [(0, 0), (1, 1)], "gain": 2}, "either points, or gain and offset"),
        ({"gain": math.nan}, "gain is nan"),
    ],
)
def test_calibrations_that_are_none(settings: dict[str, Any], problem: str) -> None:
    """Settings that make no calibration are refused with what is wrong."""
    with pytest.raises(ConfigError, match=f"Calibrate: .*{problem}"):
        Calibrate(**settings)


def test_limits_the_wrong_way_round() -> None:
    """A lower limit above the upper one, and a delta of nothing, are refused."""
    with pytest.raises(ConfigError, match="Clamp: low is 2, above high, 1"):
        Clamp(2, 1)
    with pytest.raises(ConfigError, match="Delta: at_least is 0"):
        Delta(0)
