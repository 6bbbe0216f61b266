"""How far the value of a computed can be trusted."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable
from functools import partial
from weakref import ref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekernel import Computed, Effect, Quality, Reading, Sample, Signal
from edgekernel.core.errors import BadReadingError
from edgekernel.core.values import ValueType

GOOD, UNCERTAIN, BAD = Quality.GOOD, Quality.UNCERTAIN, Quality.BAD


@pytest.fixture
def readings() -> Callable[..., list[Reading[float]]]:
    """Make readings called a, b, c..., all GOOD, measured one nanosecond after another."""
    numbers = itertools.count(1)

    def make(*values: float) -> list[Reading[float]]:
        made = [
            Reading(f"room.{name}", ValueType(float), lambda: next(numbers))
            for name, _ in zip("abcdefgh", values, strict=False)
        ]
        for each, value in zip(made, values, strict=True):
            each.update(value)
        return made

    return make


MakeReadings = Callable[..., list[Reading[float]]]


def test_good_inputs(readings: MakeReadings) -> None:
    """P4: from GOOD readings comes a GOOD sample, as old as the oldest of them."""
    a, b = readings(1.0, 2.0)
    total = Computed(lambda: a.value + b.value)
    assert total.sample == Sample(3.0, GOOD, a.sample.time_ns)
    assert total.quality is GOOD
    assert a.sample.time_ns < b.sample.time_ns


def test_no_reading() -> None:
    """What depends on no reading is GOOD; there is no time."""
    number = Signal(2)
    assert Computed(lambda: number.value * 2).sample == Sample(4, GOOD, 0)


def test_uncertain_wins_over_good(readings: MakeReadings) -> None:
    """One UNCERTAIN reading makes what comes of it UNCERTAIN, with the name of the reading."""
    a, b = readings(1.0, 2.0)
    total = Computed(lambda: a.value + b.value)
    b.update(5.0, UNCERTAIN, "drifts")
    assert (total.value, total.sample.value, total.quality) == (6.0, 6.0, UNCERTAIN)
    assert total.sample.reason == "room.b: drifts"


def test_bad_has_no_value(readings: MakeReadings) -> None:
    """P4: where the error of a BAD reading is the value, the sample is BAD, and does not raise."""
    a, b = readings(1.0, 2.0)
    total = Computed(lambda: a.value + b.value)
    b.update(5.0, UNCERTAIN, "drifts")
    a.fail("offline: unplugged")
    assert total.sample == Sample(None, BAD, a.sample.time_ns, "room.a: offline: unplugged")
    with pytest.raises(BadReadingError, match=r"room\.a: offline: unplugged"):
        _ = total.value


def test_another_error_is_bad_too(readings: MakeReadings) -> None:
    """What a computed raises by itself leaves no value: BAD, with the error."""
    (a,) = readings(0.0)
    inverse = Computed(lambda: 1 / a.value, name="inverse")
    sample = inverse.sample
    assert (sample.value, sample.quality) == (None, BAD)
    assert sample.reason.startswith("inverse: ZeroDivisionError: ")


def test_worst_wins_even_where_the_function_copes(readings: MakeReadings) -> None:
    """A function that works round a BAD reading gives a value, and the quality says from what."""
    a, b = readings(1.0, 2.0)
    either = Computed(lambda: b.value if a.quality is BAD else a.value)
    a.fail("offline")
    assert either.value == 2.0
    assert either.sample == Sample(2.0, BAD, b.sample.time_ns, "room.a: offline")


def test_only_what_was_read_counts(readings: MakeReadings) -> None:
    """A reading that was not asked this time has no say."""
    a, b = readings(1.0, 2.0)
    use_b = Signal(False)
    chosen = Computed(lambda: b.value if use_b.value else a.value)
    b.update(1.0, UNCERTAIN, "drifts")
    assert chosen.quality is GOOD
    use_b.set(True)
    assert chosen.quality is UNCERTAIN


def test_an_effect_hears_of_quality_alone(readings: MakeReadings) -> None:
    """P4: a change of quality with the same value runs what has read the sample, once; an effect
    on the value does not run."""
    a, b = readings(1.0, 2.0)
    total = Computed(lambda: a.value + b.value)
    seen: list[Quality] = []
    values: list[float] = []
    effects = [
        Effect(lambda: seen.append(total.sample.quality)),
        Effect(lambda: values.append(total.value)),
    ]
    a.update(1.0, UNCERTAIN, "drifts")
    a.update(1.0)
    a.update(1.0)
    assert seen == [GOOD, UNCERTAIN, GOOD]
    assert values == [3.0]
    for effect in effects:
        effect.dispose()


def test_an_effect_hears_of_readings_that_come_in_later(readings: MakeReadings) -> None:
    """P4: who follows a sample follows the readings that the computed turns to, even if its value
    stayed the same when it did."""
    a, b = readings(1.0, 1.0)
    use_b = Signal(False)
    chosen = Computed(lambda: b.value if use_b.value else a.value)
    seen: list[Quality] = []
    effect = Effect(lambda: seen.append(chosen.quality))
    use_b.set(True)
    b.update(1.0, UNCERTAIN, "drifts")
    a.update(1.0, UNCERTAIN, "nobody asks it any more")
    assert seen == [GOOD, UNCERTAIN]
    effect.dispose()


def test_peeking_follows_nothing(readings: MakeReadings) -> None:
    """`peek_sample` gives the same without depending on it."""
    (a,) = readings(1.0)
    double = Computed(lambda: a.value * 2)
    seen: list[Quality] = []
    effect = Effect(lambda: seen.append(double.peek_sample().quality))
    a.fail("offline")
    assert seen == [GOOD]
    assert double.peek_sample().quality is BAD
    effect.dispose()


def test_deep(readings: MakeReadings) -> None:
    """A chain of 5,000 computeds, deeper than the stack, has a quality; read first or later."""
    (a,) = readings(1.0)
    chain: list[Computed[float]] = [Computed(a.get)]
    for _ in range(5_000):
        chain.append(Computed(chain[-1].get))
    assert chain[-1].sample.quality is GOOD
    a.update(2.0, UNCERTAIN, "drifts")
    assert chain[-1].sample == Sample(2.0, UNCERTAIN, a.sample.time_ns, "room.a: drifts")


def test_wide(readings: MakeReadings) -> None:
    """What is reached by many paths is looked at once: twenty diamonds in a row end at once."""
    (a,) = readings(1.0)
    level: Computed[float] = Computed(a.get)
    for _ in range(60):
        left, right = (Computed(level.get) for _ in "lr")
        level = Computed(lambda left=left, right=right: left.get() + right.get())  # type: ignore[misc]
    assert level.sample == Sample(2.0**60, GOOD, a.sample.time_ns)


def test_a_disposed_one_is_uncertain(readings: MakeReadings) -> None:
    """A computed that keeps its last value follows no reading, and nothing vouches for it."""
    (a,) = readings(1.0)
    double = Computed(lambda: a.value * 2, name="double")
    assert double.sample.quality is GOOD
    double.dispose()
    assert double.sample == Sample(2.0, UNCERTAIN, 0, "double: disposed, it follows no reading")


def test_asking_keeps_nothing_alive(readings: MakeReadings) -> None:
    """P4: a computed that was asked for its sample is freed like any other."""
    (a,) = readings(1.0)
    double = Computed(lambda: a.value * 2)
    held = ref(double)
    effect = Effect(partial(getattr, double, "sample"))
    effect.dispose()
    del double, effect
    gc.collect()
    assert held() is None


QUALITIES = st.sampled_from([(GOOD, ""), (UNCERTAIN, "drifts"), (BAD, "offline")])


@settings(max_examples=60)
@given(data=st.data())
def test_any_graph(data: st.DataObject) -> None:
    """The quality at the end of a random graph is the worst of the readings it is made of."""
    names = [Reading(f"r{n}", ValueType(float), lambda: 1) for n in range(4)]
    nodes: list[tuple[Callable[[], float], frozenset[int]]] = [
        (reading.get, frozenset([n])) for n, reading in enumerate(names)
    ]
    top: Computed[float] | None = None
    for _ in range(data.draw(st.integers(1, 8))):
        parts = data.draw(st.lists(st.sampled_from(nodes), min_size=1, max_size=3))
        top = Computed(lambda parts=parts: sum(read() for read, _ in parts))  # type: ignore[misc]
        nodes.append((top.get, frozenset().union(*(behind for _, behind in parts))))
    assert top is not None
    seen: list[Quality] = []
    last = top
    effect = Effect(lambda: seen.append(last.quality))
    given = data.draw(st.lists(QUALITIES, min_size=4, max_size=4))
    for reading, (quality, reason) in zip(names, given, strict=True):
        reading.update(1.0, quality, reason)
    order = [GOOD, UNCERTAIN, BAD]
    expected = max((given[n][0] for n in nodes[-1][1]), key=order.index)
    assert top.quality is expected
    assert seen[-1] is expected
    effect.dispose()
