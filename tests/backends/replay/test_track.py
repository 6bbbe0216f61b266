"""Track: which of several answers to one question is given when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgekernel.backends.replay.track import Latest, Track, frozen
from tests.backends.replay.calls import I2C, SECOND, WINDOW_NS, call


def track(*times_s: float) -> Track:
    """Return a track whose answers are the times at which they came."""
    made = Track(WINDOW_NS)
    for at_s in times_s:
        made.add(call(I2C, at_s, "scan", gives=at_s))
    return made


def asked(track: Track, *times_s: float) -> list[tuple[float, bool]]:
    """Ask at times; return the answers and whether each is a new one."""
    found = (track.answer(round(at_s * SECOND)) for at_s in times_s)
    return [(call.result, fresh) for call, fresh in found]


def test_in_order() -> None:
    """Who asks as was asked gets the answers one by one, also if a little early or late."""
    assert asked(track(0, 10, 20), 0, 9.6, 20.4) == [(0, True), (10, True), (20, True)]


def test_a_burst() -> None:
    """Several answers at one time come one after the other."""
    assert asked(track(5, 5, 5.001), 5, 5, 5) == [(5, True), (5, True), (5.001, True)]


def test_more_often() -> None:
    """Who asks more often gets the latest answer of that time again."""
    assert asked(track(0, 10), 0, 5, 9, 10) == [(0, True), (0, False), (0, False), (10, True)]


def test_more_rarely() -> None:
    """Who asks more rarely gets the answer of that time; those in between are left out."""
    assert asked(track(0, 10, 20, 30), 0, 30) == [(0, True), (30, True)]
    assert asked(track(0, 10, 20, 30), 0, 25) == [(0, True), (20, True)]


def test_before_and_after() -> None:
    """Before the first answer that one is given, after the last that one again."""
    assert asked(track(10), 0, 10, 99) == [(10, False), (10, True), (10, False)]


@given(
    st.lists(st.integers(0, 1000), min_size=1).map(sorted),
    st.lists(st.integers(0, 1000)).map(sorted),
)
def test_any_times(recorded: list[int], times: list[int]) -> None:
    """No answer is given as new twice, none goes back behind another, and one that comes from the
    future is the very first, or within the window."""
    answers = asked(track(*recorded), *times)
    given_ = [answer for answer, _ in answers]
    assert given_ == sorted(given_)
    for each in set(given_):
        assert recorded.count(int(each)) >= sum(new for b, new in answers if b == each)
    for at, (answer, _) in zip(times, answers, strict=True):
        assert answer <= at or answer == recorded[0]


def test_latest() -> None:
    """The latest call that had come back at a time; none before the first."""
    calls = Latest([call(I2C, at_s, "scan", gives=at_s) for at_s in (1, 2)])
    found = [calls.at(round(at_s * SECOND)) for at_s in (0.5, 1, 1.5, 3)]
    assert [each and each.result for each in found] == [None, 1, 1, 2]


def test_frozen() -> None:
    """An argument and what a journal has of it are the same."""
    assert frozen([bytearray(b"a"), {"b": [1]}]) == frozen((b"a", {"b": (1,)}))
    assert hash(frozen({"a": [b"1", [2]]})) == hash(frozen({"a": (b"1", (2,))}))
