"""Requests that come twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgekernel.mqtt.payloads import ReplyAddress
from edgekernel.mqtt.repeated import KEEP_S, MAX_ANSWER_BYTES, MAX_KEPT, MAX_REPEATS, Repeated
from edgekernel.sim import SimClock


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock."""
    with SimClock() as clock:
        yield clock


def test_the_first_answer_is_given_again(clock: SimClock) -> None:
    """A repeat is none that is new, and has the first answer as soon as there is one."""
    repeated = Repeated(clock)
    assert repeated.came(("a", 1), b"x") == "new"
    assert repeated.came(("a", 1), b"x") != "new"
    assert repeated.answer(("a", 1)) is None
    repeated.answered(("a", 1), b"done")
    assert repeated.came(("a", 1), b"x") != "new"
    assert repeated.answer(("a", 1)) == b"done"


def test_another_payload_is_another_request(clock: SimClock) -> None:
    """An id is used again with other content: both are new, and so is the first one after it."""
    repeated = Repeated(clock)
    assert [repeated.came(("a", 1), each) == "new" for each in (b"on", b"off", b"on")] == [True] * 3
    assert repeated.came(("b", 1), b"on") == "new"
    assert repeated.came(("a", 2), b"on") == "new"


def test_what_was_not_done_may_come_again(clock: SimClock) -> None:
    """A request that is forgotten is new again; an answer to it is not kept."""
    repeated = Repeated(clock)
    repeated.came(("a", 1), b"x")
    repeated.forget(("a", 1))
    repeated.answered(("a", 1), b"late")
    assert repeated.answer(("a", 1)) is None
    assert repeated.came(("a", 1), b"x") == "new"


def test_answers_are_bounded(clock: SimClock) -> None:
    """Of more than a megabyte of answers the oldest requests are forgotten."""
    repeated = Repeated(clock)
    for number in range(30):
        assert repeated.came(("a", number), b"x") == "new"
        repeated.answered(("a", number), b"." * (MAX_ANSWER_BYTES // 10))
    known = [number for number in range(30) if repeated.answer(("a", number)) is not None]
    assert known == list(range(19, 30))


def test_memory_is_bounded(clock: SimClock) -> None:
    """The latest 1000 are known, each for an hour."""
    repeated = Repeated(clock)
    for number in range(MAX_KEPT + 1):
        assert repeated.came(("a", number), b"x") == "new"
    assert repeated.came(("a", MAX_KEPT), b"x") != "new"
    assert repeated.came(("a", 0), b"x") == "new"
    clock.advance(KEEP_S)
    assert repeated.came(("a", MAX_KEPT), b"x") == "new"


def test_repeats_wait_for_the_first_answer(clock: SimClock) -> None:
    """Whoever comes while it is carried out is told with the answer, or the refusal, once."""
    repeated = Repeated(clock)
    first, second = ReplyAddress("r/one", 1), ReplyAddress("r/two", 1)
    assert repeated.came(("a", 1), b"x", ReplyAddress("r/me", 1)) == "new"
    assert repeated.came(("a", 1), b"x", first) == "begun"
    assert repeated.came(("a", 1), b"x", second) == "begun"
    assert repeated.answered(("a", 1), b"done") == (first, second)
    assert repeated.came(("a", 1), b"x", first) == "answered"
    assert repeated.answered(("a", 1), b"done") == ()
    repeated.came(("a", 2), b"x")
    repeated.came(("a", 2), b"x", second)
    assert repeated.forget(("a", 2)) == (second,)
    assert repeated.forget(("a", 2)) == ()


def test_few_repeats_wait(clock: SimClock) -> None:
    """A client that repeats without end takes no more memory."""
    repeated = Repeated(clock)
    for _ in range(MAX_REPEATS + 10):
        repeated.came(("a", 1), b"x", ReplyAddress("r/me", 1))
    assert len(repeated.answered(("a", 1), b"done")) == MAX_REPEATS
