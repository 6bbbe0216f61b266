"""Filters that take time into account: Throttle, Debounce, DelayedOn, DelayedOff."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import ConfigError
from edgekernel.core.filter import Filter
from edgekernel.core.filters import Debounce, DelayedOff, DelayedOn, Throttle
from tests.core.sampling import BAD, GOOD, RANK, UNCERTAIN, Timed, run, sample, sequences

switches = sequences(st.booleans())
delays = st.integers(0, 4000).map(lambda ms: ms / 1000)


def at(*pairs: tuple[float, Any]) -> list[Timed]:
    """GOOD samples at these seconds."""
    return [(second, sample(value, at_s=second)) for second, value in pairs]


def outcome(filter: Filter, *pairs: tuple[float, Any], until_s: float = 1000) -> list[Any]:
    """When which value comes out."""
    return [(second, each.value) for second, each in run([filter], at(*pairs), until_s)]


def test_throttle() -> None:
    """The first value passes at once, then one in each interval; the last one follows."""
    given = [(n / 10, n) for n in range(25)]
    assert outcome(Throttle(1), *given) == [(0.0, 0), (1.0, 9), (2.0, 19), (3.0, 24)]


def test_throttle_lets_the_worse_pass() -> None:
    """What is worse than before passes at once; what was held back before it is dropped."""
    coming = [
        (0.0, sample(1)),
        (0.1, sample(2)),
        (0.2, sample(3, UNCERTAIN)),
        (0.3, sample(4)),
        (0.4, sample(5, BAD)),
        (0.5, sample(6)),
    ]
    out = [(second, each.value) for second, each in run([Throttle(1)], coming, 100)]
    assert out == [(0.0, 1), (0.2, 3), (0.4, 5), (0.5, 6)]


@given(sequences(st.integers()), delays)
def test_throttle_never_loses_the_last_value(given: list[Timed], interval_s: float) -> None:
    """In the end what was told last is what came last, not later than an interval after it."""
    out = run([Throttle(interval_s)], given, 1e6)
    if given:
        assert out[-1][1] == given[-1][1]
        assert out[-1][0] <= given[-1][0] + interval_s + 1e-9
    else:
        assert out == []


@given(st.lists(st.integers(0, 2000), max_size=30), st.integers(1, 3000))
def test_throttle_keeps_its_interval(pauses_ms: list[int], interval_ms: int) -> None:
    """Of GOOD values never two pass within one interval."""
    times = [sum(pauses_ms[: n + 1]) / 1000 for n in range(len(pauses_ms))]
    out = outcome(Throttle(interval_ms / 1000), *((t, n) for n, t in enumerate(times)))
    assert all(b - a >= interval_ms / 1000 - 1e-6 for (a, _), (b, _) in pairwise(out))


def test_debounce() -> None:
    """A value counts when it has stayed; what bounces in between is not told."""
    given = [(0, False), (1.0, True), (1.01, False), (1.02, True), (1.03, False), (1.04, True)]
    told = [each for each in outcome(Debounce(0.05), *given) if each[0] < 1 or each[1]]
    assert told == [(0.05, False), (1.09, True)]


def test_debounce_of_nothing() -> None:
    """Without a time to settle each value passes at once."""
    assert outcome(Debounce(0), (0, True), (1, False)) == [(0, True), (1, False)]


@given(switches, delays)
def test_debounce_ends_in_the_true_level(given: list[Timed], settle_s: float) -> None:
    """Whatever bounces, what was told last is the value that stays, with its quality."""
    out = run([Debounce(settle_s)], given, 1e6)
    if given:
        assert out[-1][1].value == given[-1][1].value
        assert out[-1][1].quality is given[-1][1].quality


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=30), st.integers(1, 2000))
def test_debounce_never_fires_twice(pauses_ms: list[int], settle_ms: int) -> None:
    """Each change is told once, and of a value that has stayed: between two changes that are told
    lies the time to settle, and no more is told than there were spells that long."""
    times = [sum(pauses_ms[: n + 1]) for n in range(len(pauses_ms))]
    given = [(t / 1000, n % 2 == 0) for n, t in enumerate(times)]
    told = outcome(Debounce(settle_ms / 1000), *given)
    changes = [(t, v) for n, (t, v) in enumerate(told) if n == 0 or told[n - 1][1] != v]
    assert all(a[1] != b[1] for a, b in pairwise(changes))
    assert all(b[0] - a[0] >= settle_ms / 1000 - 1e-6 for a, b in pairwise(changes))
    spells = sum(b - a >= settle_ms for a, b in pairwise([*times, 10**9]))
    assert len(changes) <= spells


def test_delayed_on() -> None:
    """On has to last, off comes at once and calls a waiting on off."""
    given = [(0, False), (1, True), (2, False), (3, True), (7, True), (9, False)]
    assert outcome(DelayedOn(3), *given) == [
        (0, False),
        (2, False),
        (6, True),
        (7, True),
        (9, False),
    ]


def test_delayed_off() -> None:
    """Off has to last, on comes at once: a light that stays on a while after the last motion."""
    given = [(0, True), (1, False), (2, True), (3, False)]
    assert outcome(DelayedOff(30), *given) == [(0, True), (2, True), (33, False)]


@given(st.sampled_from([DelayedOn, DelayedOff]), delays, switches)
def test_delays_end_in_the_true_level(make: Any, delay_s: float, given: list[Timed]) -> None:
    """In the end what was told last is what came last, not later than the delay after it."""
    out = run([make(delay_s)], given, 1e6)
    if given:
        assert (out[-1][1].value, out[-1][1].quality) == (given[-1][1].value, given[-1][1].quality)
        assert out[-1][0] <= given[-1][0] + delay_s + 1e-6


@given(st.sampled_from([Throttle, Debounce, DelayedOn, DelayedOff]), delays, switches)
def test_bad_passes_at_once_and_is_not_undone(
    make: Any, delay_s: float, given: list[Timed]
) -> None:
    """P4: a BAD sample passes when it comes; nothing from before it follows it. What passes has
    the quality of a sample that came, and stays as it is."""
    out = run([make(delay_s)], given, 1e6)
    came = [each for _, each in given]
    bad = [(second, each) for second, each in given if each.quality is BAD]
    assert [(second, each) for second, each in out if each.quality is BAD] == bad
    latest = -1
    for _, each in out:
        places = [n for n, other in enumerate(came) if other is each]
        assert places, "what passes is a sample that came"
        assert places[0] > latest, "and none that was overtaken"
        latest = places[0]
        assert RANK.index(each.quality) >= RANK.index(came[latest].quality)


@pytest.mark.parametrize(
    "make", [Throttle, Debounce, DelayedOn, DelayedOff], ids=lambda each: each.__name__
)
@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_time_is_a_time(make: Any, seconds: float) -> None:
    """A time below nothing, or without end, is refused with the name of the filter."""
    with pytest.raises(ConfigError, match=f"{make.__name__}: .* is {seconds}"):
        make(seconds)


def test_good_stays_good() -> None:
    """A delayed sample has the quality it came with."""
    [(_, out)] = run([Debounce(1)], at((0, True)), 10)
    assert out.quality is GOOD
