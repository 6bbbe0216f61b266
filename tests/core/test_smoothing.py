"""Filters that smooth: Median, MovingAverage, ExponentialAverage."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import ConfigError
from edgekernel.core.filter import Filter
from edgekernel.core.filters import ExponentialAverage, Median, MovingAverage
from tests.core.sampling import BAD, GOOD, RANK, UNCERTAIN, numbers, run, sample, sequences, values

SMOOTHING = st.one_of(
    st.builds(Median, st.integers(1, 9)),
    st.builds(MovingAverage, st.integers(1, 9)),
    st.builds(ExponentialAverage, st.floats(0.001, 1.0)),
)


def test_median_drops_an_outlier() -> None:
    """A single spike leaves no trace, a step comes through whole, a little later."""
    assert values([Median(3)], 20, 20, 85, 20, 20) == [20, 20, 20, 20, 20]
    assert values([Median(3)], 20, 20, 30, 30, 30) == [20, 20, 20, 30, 30]


@given(st.lists(numbers, min_size=1, max_size=20), st.integers(0, 4).map(lambda n: 2 * n + 1))
def test_median_of_a_full_odd_window(given: list[float], size: int) -> None:
    """Of an odd window the median is the middle value, one that was really measured."""
    out = values([Median(size)], *given)
    for n in range(size - 1, len(given)):
        assert out[n] == statistics.median(given[n - size + 1 : n + 1])
        assert out[n] in given


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.integers(1, 8))
def test_moving_average_is_the_mean(given: list[float], size: int) -> None:
    """It is the mean of the latest values, of fewer at the beginning."""
    for n, mean in enumerate(values([MovingAverage(size)], *given)):
        expected = statistics.fmean(given[max(0, n - size + 1) : n + 1])
        assert mean == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_exponential_average() -> None:
    """Each value counts with its weight; the first one is taken as it is."""
    assert values([ExponentialAverage(0.5)], 10, 20, 20, 0) == [10, 15, 17.5, 8.75]
    assert values([ExponentialAverage(1)], 10, 20, 5) == [10, 20, 5]


@given(SMOOTHING, sequences(st.floats()))
def test_bounds(smoothing: Filter, given: list[tuple[float, object]]) -> None:
    """What comes out lies between the smallest and the largest value that came in, also at the
    ends of what a float can hold."""
    finite = [(at, each) for at, each in given if abs(each.value) < float("inf")]  # type: ignore[attr-defined]
    good = [each.value for _, each in finite]  # type: ignore[attr-defined]
    for _, each in run([smoothing], finite, 1e6):  # type: ignore[arg-type]
        assert min(good) <= each.value <= max(good)


@given(SMOOTHING, numbers, st.integers(1, 20))
def test_what_is_constant_stays(smoothing: Filter, value: float, count: int) -> None:
    """A constant value comes out as it went in."""
    assert values([smoothing], *[value] * count) == [value] * count


@pytest.mark.parametrize("smoothing", [Median(3), MovingAverage(3), ExponentialAverage(0.1)])
def test_bad_begins_anew(smoothing: Filter) -> None:
    """A BAD sample passes as it is; what was before it has no influence any more."""
    coming = [(0, sample(10)), (1, sample(10)), (2, sample(10, BAD)), (3, sample(90))]
    out = [each for _, each in run([smoothing], coming, 10)]
    assert out[2] == sample(10, BAD)
    assert (out[3].value, out[3].quality) == (90, GOOD)


@pytest.mark.parametrize("smoothing", [Median(3), MovingAverage(3)])
def test_the_worst_in_the_window_counts(smoothing: Filter) -> None:
    """As long as an UNCERTAIN value has a part in it, the result is UNCERTAIN, with its reason."""
    coming = [(n, sample(10, UNCERTAIN if n == 1 else GOOD)) for n in range(6)]
    out = [each.quality for _, each in run([smoothing], coming, 10)]
    assert out == [GOOD, UNCERTAIN, UNCERTAIN, UNCERTAIN, GOOD, GOOD]


@given(SMOOTHING, sequences(numbers))
def test_no_quality_is_invented(smoothing: Filter, given: list[tuple[float, object]]) -> None:
    """P4: for each sample one comes out, at its time, of the same quality or a worse one."""
    out = run([smoothing], given, 1e6)  # type: ignore[arg-type]
    for (at, before), (then, after) in zip(given, out, strict=True):
        assert at == then
        assert RANK.index(after.quality) >= RANK.index(before.quality)  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [0, -1, 2.5, True])
def test_a_window_has_a_size(size: int) -> None:
    """A window of no whole size is refused, with the name of the filter."""
    with pytest.raises(ConfigError, match=r"Median: size is .*; it is an integer from 1 on"):
        Median(size)


@pytest.mark.parametrize("weight", [0.0, -0.1, 1.1, float("nan")])
def test_a_weight_is_a_part(weight: float) -> None:
    """A weight outside of (0, 1] is refused."""
    with pytest.raises(ConfigError, match="ExponentialAverage: weight is"):
        ExponentialAverage(weight)
