"""Requests that come twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgekernel.mqtt.repeated import KEEP_S, MAX_ANSWER_BYTES, MAX_KEPT, Repeated
from edgekernel.sim import SimClock


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock."""
    with SimClock() as clock:
        yield clock


def test_the_first_answer_is_given_again(clock: SimClock) -> None:
    """A repeat is none that is new, and has the first answer as soon as there is one."""
    repeated = Repeated(clock)
    assert repeated.is_new(("a", 1), b"x")
    assert not repeated.is_new(("a", 1), b"x")
    assert repeated.answer(("a", 1)) is None
    repeated.answered(("a", 1), b"done")
    assert not repeated.is_new(("a", 1), b"x")
    assert repeated.answer(("a", 1)) == b"done"


def test_another_payload_is_another_request(clock: SimClock) -> None:
    """An id is used again with other content: both are new, and so is the first one after it."""
    repeated = Repeated(clock)
    assert [repeated.is_new(("a", 1), each) for each in (b"on", b"off", b"on")] == [True] * 3
    assert repeated.is_new(("b", 1), b"on")
    assert repeated.is_new(("a", 2), b"on")


def test_what_was_not_done_may_come_again(clock: SimClock) -> None:
    """A request that is forgotten is new again; an answer to it is not kept."""
    repeated = Repeated(clock)
    repeated.is_new(("a", 1), b"x")
    repeated.forget(("a", 1))
    repeated.answered(("a", 1), b"late")
    assert repeated.answer(("a", 1)) is None
    assert repeated.is_new(("a", 1), b"x")


def test_answers_are_bounded(clock: SimClock) -> None:
    """Of more than a megabyte of answers the oldest requests are forgotten."""
    repeated = Repeated(clock)
    for number in range(30):
        assert repeated.is_new(("a", number), b"x")
        repeated.answered(("a", number), b"." * (MAX_ANSWER_BYTES // 10))
    known = [number for number in range(30) if repeated.answer(("a", number)) is not None]
    assert known == list(range(19, 30))


def test_memory_is_bounded(clock: SimClock) -> None:
    """The latest 1000 are known, each for an hour."""
    repeated = Repeated(clock)
    for number in range(MAX_KEPT + 1):
        assert repeated.is_new(("a", number), b"x")
    assert not repeated.is_new(("a", MAX_KEPT), b"x")
    assert repeated.is_new(("a", 0), b"x")
    clock.advance(KEEP_S)
    assert repeated.is_new(("a", MAX_KEPT), b"x")
