"""Telling: what goes on and on is told of less and less often."""

from __future__ import annotations

from itertools import pairwise

from edgekernel.core.telling import Failures, Telling

SECOND = 1_000_000_000


def _told(moments: range) -> list[int]:
    """Return the seconds at which something is told of that happens at these."""
    telling, told = Telling(), []
    for second in moments:
        if telling.due(second * SECOND):
            telling.told(second * SECOND)
            told.append(second)
    return told


def test_pauses_grow_to_an_hour() -> None:
    """It is told at once, after a minute, and then after pauses that double, up to an hour."""
    told = _told(range(5 * 3600))
    pauses = [later - earlier for earlier, later in pairwise(told)]
    assert told[0] == 0
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_something_rare_is_told_each_time() -> None:
    """What happens every other hour only is told of each time."""
    assert _told(range(0, 86400, 7200)) == list(range(0, 86400, 7200))


def test_begins_anew() -> None:
    """After an hour without it, and the pause that was due, it is told of as the first time."""
    telling = Telling()
    for second in (0, 60, 180):
        assert telling.due(second * SECOND)
        telling.told(second * SECOND)
    later = 180 + 240 + 3600
    telling.told(later * SECOND)
    assert not telling.due((later + 59) * SECOND)
    assert telling.due((later + 60) * SECOND)


def test_the_same_failure() -> None:
    """A failure is told of at once, the same one again after pauses; digits make no other one."""
    failures = Failures()
    texts = ["no answer after 3 s", "no answer after 5 s", "gone", "no answer after 3 s"]
    assert [failures.news(text, at * SECOND) for at, text in enumerate(texts)] == [
        True, False, True, False,
    ]  # fmt: skip
    assert failures.news(texts[0], 61 * SECOND)
    failures.over()
    assert failures.news(texts[0], 62 * SECOND)


def test_what_is_known_of_failures_is_bounded() -> None:
    """Texts that are new each time are told of each time, and not kept for ever."""
    failures = Failures()
    assert all(failures.news("x" * length, 0) for length in range(1, 200))
    assert failures.news("x", 0)
