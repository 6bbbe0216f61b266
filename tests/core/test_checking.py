"""Filters that doubt a value: RangeCheck, RateCheck, Frozen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import ConfigError, Quality
from edgekernel.core.filter import Filter
from edgekernel.core.filters import Frozen, RangeCheck, RateCheck
from tests.core.sampling import BAD, GOOD, RANK, UNCERTAIN, Timed, numbers, run, sample, sequences

CHECKING = st.one_of(
    st.builds(RangeCheck, st.just(-10.0), st.just(10.0), st.sampled_from([UNCERTAIN, BAD])),
    st.builds(
        RateCheck, st.floats(0.1, 100.0), st.integers(2, 5), st.sampled_from([UNCERTAIN, BAD])
    ),
    st.builds(Frozen, st.floats(0.1, 10.0), st.sampled_from([UNCERTAIN, BAD])),
)


def outcome(check: Filter, *given: Any, every_s: float = 1.0) -> list[Quality]:
    """The qualities that come out of values a second apart; a sample is taken as it is."""
    coming = [
        (n * every_s, each if not isinstance(each, int | float) else sample(each))
        for n, each in enumerate(given)
    ]
    return [each.quality for _, each in run([check], coming, 1e6)]


def test_range_check() -> None:
    """What is outside is BAD, or UNCERTAIN if asked for, and says on which side."""
    assert outcome(RangeCheck(0, 50), -0.1, 0, 50, 50.1) == [BAD, GOOD, GOOD, BAD]
    [(_, low)] = run([RangeCheck(low=0, quality=UNCERTAIN)], [(0.0, sample(-3.5))], 1)
    assert (low.value, low.quality, low.reason) == (-3.5, UNCERTAIN, "-3.5 is below 0")
    [(_, high)] = run([RangeCheck(high=50)], [(0.0, sample(85.0))], 1)
    assert high.reason == "85 is above 50"


@given(st.lists(numbers, max_size=10), numbers, numbers)
def test_range_check_is_exact(given: list[float], one: float, other: float) -> None:
    """GOOD is exactly what lies within the limits, and the value is unchanged."""
    low, high = min(one, other), max(one, other)
    coming = [(float(n), sample(value)) for n, value in enumerate(given)]
    out = [each for _, each in run([RangeCheck(low, high)], coming, 1e6)]
    assert [each.value for each in out] == given
    assert [each.quality is GOOD for each in out] == [low <= value <= high for value in given]


def test_a_spike_is_doubted() -> None:
    """A jump that is faster than what is likely is BAD, what follows at the old level is GOOD."""
    assert outcome(RateCheck(1.0), 20, 20.5, 85, 21, 21) == [GOOD, GOOD, BAD, GOOD, GOOD]


def test_a_spike_says_how_fast_it_was() -> None:
    """The reason has the change, the time and what is likely."""
    out = run([RateCheck(0.5, quality=UNCERTAIN)], [(0.0, sample(20)), (2.0, sample(85))], 10)
    assert out[1][1].quality is UNCERTAIN
    assert out[1][1].reason == "changed by 65 in 2 s, at most 0.5 per s is likely"


def test_a_new_level_that_persists_is_believed() -> None:
    """The third value in a row at a new level is GOOD; values that jump about are not."""
    assert outcome(RateCheck(1.0), 20, 40, 40.5, 41, 41) == [GOOD, BAD, BAD, GOOD, GOOD]
    assert outcome(RateCheck(1.0), 20, 40, 60, 40, 60) == [GOOD, BAD, BAD, BAD, BAD]
    assert outcome(RateCheck(1.0, 2), 20, 40, 40) == [GOOD, BAD, GOOD]


def test_what_slow_change_could_have_reached_is_believed() -> None:
    """After a while without a value, as much change is likely as that while allows."""
    out = run([RateCheck(1.0)], [(0.0, sample(20)), (30.0, sample(45))], 100)
    assert out[1][1].quality is GOOD


def test_a_spike_after_a_failure_is_doubted_too() -> None:
    """A value is compared with what was before a failure: the 85 °C that a DS18B20 has after its
    supply failed is a spike."""
    failed = sample(20, BAD)
    assert outcome(RateCheck(1.0), 20, failed, 85, 20) == [GOOD, BAD, BAD, GOOD]


@given(numbers, st.lists(st.floats(-1, 1), max_size=15))
def test_slow_change_is_never_doubted(first: float, steps: list[float]) -> None:
    """Whatever changes by less than what is likely stays GOOD."""
    level, levels = first / 1e94, []
    for step in steps:
        level += step * 0.999
        levels.append(level)
    assert set(outcome(RateCheck(1.0), first / 1e94, *levels)) == {GOOD}


@given(st.integers(2, 6), st.floats(100, 1e6))
def test_a_step_is_believed_in_time(confirmations: int, height: float) -> None:
    """After a step of any height the values are GOOD from the stated number on."""
    out = outcome(RateCheck(0.001, confirmations), 0.0, *[height] * 8)
    assert out == [GOOD, *[BAD] * (confirmations - 1), *[GOOD] * (9 - confirmations)]


def test_frozen() -> None:
    """A value that does not move at all is doubted when it has been the same for too long, and
    believed at its first change, however small."""
    values = [20.0, 20.1, *[20.1] * 5, 20.100001, 20.100001]
    out = outcome(Frozen(3), *values)
    assert out == [GOOD, GOOD, GOOD, GOOD, UNCERTAIN, UNCERTAIN, UNCERTAIN, GOOD, GOOD]
    [*_, (_, last)] = run([Frozen(3, BAD)], [(float(n), sample(1)) for n in range(5)], 10)
    assert (last.quality, last.reason) == (BAD, "frozen: the same for 3 s")


def test_an_outage_does_not_count_as_frozen() -> None:
    """The time of a failure is not counted, and does not hide what was frozen before it."""
    bad = sample(20, BAD)
    assert outcome(Frozen(3), 20, 20, bad, bad, bad, 20, 20, 20) == [
        *[GOOD, GOOD, BAD, BAD, BAD],
        *[GOOD, GOOD, UNCERTAIN],
    ]


@given(CHECKING, sequences(st.floats(-100, 100)))
def test_only_the_quality_changes_and_never_for_the_better(
    checking: Filter, given: list[Timed]
) -> None:
    """P4: each sample comes out at once, with its value, and a quality that is no better."""
    out = run([checking], given, 1e6)
    for (at, before), (then, after) in zip(given, out, strict=True):
        assert (then, after.value) == (at, before.value)
        assert RANK.index(after.quality) >= RANK.index(before.quality)
        assert (after.reason == "") is (after.quality is GOOD)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: RangeCheck(2, 1), "RangeCheck: low is 2, above high, 1"),
        (lambda: RangeCheck(0, 1, GOOD), "RangeCheck: quality is"),
        (lambda: RateCheck(0), "RateCheck: per_s is 0"),
        (lambda: RateCheck(1, 1), "RateCheck: confirmations is 1"),
        (lambda: Frozen(0), "Frozen: after_s is 0"),
        (lambda: Frozen(1, GOOD), "Frozen: quality is"),
    ],
)
def test_settings_that_are_none(make: Any, problem: str) -> None:
    """Settings that make no check are refused with what is wrong."""
    with pytest.raises(ConfigError, match=problem):
        make()
