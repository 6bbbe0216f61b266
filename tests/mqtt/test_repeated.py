"""Requests that come twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgekernel.mqtt.payloads import ReplyAddress
from edgekernel.mqtt.repeated import (
    KEEP_S,
    MAX_ANSWER_BYTES,
    MAX_KEPT,
    MAX_REPEATS,
    Came,
    Kept,
    Repeated,
)
from edgekernel.sim import SimClock


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock."""
    with SimClock() as clock:
        yield clock


def came(repeated: Repeated, id: int, payload: bytes, client: str | None = None) -> str:
    """Let a request come; return what it is."""
    return ask(repeated, id, payload, client)[0]


def ask(
    repeated: Repeated, id: int, payload: bytes, client: str | None = None
) -> tuple[Came, Kept]:
    """Let a request come, for whose answer a client waits if there is one."""
    return repeated.came(("a", id), payload, ReplyAddress(client, id) if client else None)


def test_the_first_answer_is_given_again(clock: SimClock) -> None:
    """A repeat is none that is new, and has the first answer as soon as there is one."""
    repeated = Repeated(clock)
    new, kept = ask(repeated, 1, b"x")
    assert new == "new"
    assert ask(repeated, 1, b"x") == ("begun", kept)
    assert kept.answer is None
    repeated.answered(kept, b"done")
    assert ask(repeated, 1, b"x") == ("answered", kept)
    assert kept.answer == b"done"


def test_another_payload_is_another_request(clock: SimClock) -> None:
    """An id is used again with other content: both are new, and so is the first one after it."""
    repeated = Repeated(clock)
    assert [came(repeated, 1, each) for each in (b"on", b"off", b"on")] == ["new"] * 3
    assert repeated.came(("b", 1), b"on")[0] == "new"
    assert came(repeated, 2, b"on") == "new"


def test_the_end_of_one_is_not_that_of_another(clock: SimClock) -> None:
    """An id is used again with other content while the first is carried out: its answer, or its
    refusal, is none for the second. Whoever waits for the first hears of it."""
    repeated = Repeated(clock)
    for end in (lambda kept: repeated.answered(kept, b"first"), repeated.forget):
        first = ask(repeated, 1, b"5 ml", "r/me")[1]
        assert came(repeated, 1, b"5 ml", "r/me") == "begun"
        second = ask(repeated, 1, b"50 ml", "r/me")[1]
        assert end(first) == (ReplyAddress("r/me", 1),)
        assert ask(repeated, 1, b"50 ml", "r/me") == ("begun", second)
        repeated.answered(second, b"second")
        assert ask(repeated, 1, b"50 ml", "r/me") == ("answered", second)
        assert second.answer == b"second"


def test_clients_count_alike(clock: SimClock) -> None:
    """Two clients use the same id: what each repeats is known, where its answer goes tells them
    apart. One that has got another address is still known by the latest content."""
    repeated = Repeated(clock)
    for id in (1, 2):
        assert came(repeated, id, b"5 ml", "r/one") == "new"
        assert came(repeated, id, b"50 ml", "r/two") == "new"
    assert came(repeated, 1, b"5 ml", "r/one") == "begun"
    assert came(repeated, 1, b"50 ml", "r/two") == "begun"
    assert came(repeated, 1, b"50 ml", "r/three") == "begun"
    assert came(repeated, 1, b"5 ml", "r/three") == "new"


def test_what_was_not_done_may_come_again(clock: SimClock) -> None:
    """A request that is forgotten is new again; an answer to it is not kept."""
    repeated = Repeated(clock)
    kept = ask(repeated, 1, b"x")[1]
    repeated.forget(kept)
    repeated.answered(kept, b"late")
    assert came(repeated, 1, b"x") == "new"


def test_answers_are_bounded(clock: SimClock) -> None:
    """Of more than a megabyte of answers the oldest requests are forgotten."""
    repeated = Repeated(clock)
    for number in range(30):
        new, kept = ask(repeated, number, b"x")
        assert new == "new"
        repeated.answered(kept, b"." * (MAX_ANSWER_BYTES // 10))
    known = [number for number in range(29, -1, -1) if came(repeated, number, b"x") != "new"]
    assert known == list(range(29, 19, -1))


def test_memory_is_bounded(clock: SimClock) -> None:
    """The latest 1000 are known, each for an hour."""
    repeated = Repeated(clock)
    for number in range(MAX_KEPT + 1):
        new, kept = ask(repeated, number, b"x")
        assert new == "new"
        repeated.answered(kept, b"done")
    assert came(repeated, MAX_KEPT, b"x") != "new"
    assert came(repeated, 0, b"x") == "new"
    clock.advance(KEEP_S)
    assert came(repeated, MAX_KEPT, b"x") == "new"


def test_what_is_carried_out_is_known(clock: SimClock) -> None:
    """However long it takes and whatever comes meanwhile; then for an hour from its answer on."""
    repeated = Repeated(clock)
    long = ask(repeated, -1, b"x")[1]
    for number in range(2 * MAX_KEPT):
        repeated.answered(ask(repeated, number, b"x")[1], b"." * (MAX_ANSWER_BYTES // 1000))
    clock.advance(2 * KEEP_S)
    assert ask(repeated, -1, b"x") == ("begun", long)
    repeated.answered(long, b"done")
    clock.advance(KEEP_S - 1)
    assert ask(repeated, -1, b"x") == ("answered", long)
    clock.advance(1)
    assert came(repeated, -1, b"x") == "new"


def test_repeats_wait_for_the_first_answer(clock: SimClock) -> None:
    """Whoever comes while it is carried out is told with the answer, or the refusal, once."""
    repeated = Repeated(clock)
    first, second = ReplyAddress("r/one", 1), ReplyAddress("r/two", 1)
    new, kept = ask(repeated, 1, b"x", "r/me")
    assert new == "new"
    assert came(repeated, 1, b"x", "r/one") == "begun"
    assert came(repeated, 1, b"x", "r/two") == "begun"
    assert repeated.answered(kept, b"done") == (first, second)
    assert came(repeated, 1, b"x", "r/one") == "answered"
    assert repeated.answered(kept, b"done") == ()
    kept = ask(repeated, 2, b"x")[1]
    came(repeated, 2, b"x", "r/two")
    assert repeated.forget(kept) == (ReplyAddress("r/two", 2),)
    assert repeated.forget(kept) == ()


def test_few_repeats_wait(clock: SimClock) -> None:
    """A client that repeats without end takes no more memory."""
    repeated = Repeated(clock)
    kept = ask(repeated, 1, b"x")[1]
    for _ in range(MAX_REPEATS + 10):
        came(repeated, 1, b"x", "r/me")
    assert len(repeated.answered(kept, b"done")) == MAX_REPEATS
