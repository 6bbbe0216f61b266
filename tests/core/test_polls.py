"""How the polls of one device go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgekernel.core.polls import Polls

S = 10**9

outcomes = st.lists(
    st.tuples(st.booleans(), st.integers(0, 20 * S), st.integers(0, 5 * S)), max_size=40
)


@given(st.floats(0.01, 1000.0), outcomes)
def test_never_too_soon_and_never_for_ever(
    every_s: float, steps: list[tuple[bool, int, int]]
) -> None:
    """P7: after any polls, of any duration, the next one is due after the last has begun, not
    later than its interval after a success, and not later than a minute (or its interval if that
    is longer), and a fifth, after a failure."""
    polls, now = Polls(), 0
    polls.begin(0)
    failures = 0
    for succeeds, lateness_ns, duration_ns in steps:
        assert polls.due_ns is not None
        begun = now = max(now, polls.due_ns) + lateness_ns
        assert polls.take_up(now)
        now += duration_ns
        failures = 0 if succeeds else failures + 1
        (polls.succeeded if succeeds else polls.failed)(every_s, now)
        assert polls.failures == failures
        longest_s = every_s if succeeds else 1.2 * max(60.0, every_s)
        assert begun < polls.due_ns
        assert now <= polls.due_ns <= now + longest_s * S + 1


def test_back_to_its_grid() -> None:
    """The first success after failures brings the polls back to the times they had before."""
    polls = Polls()
    polls.begin(0)
    for _ in range(5):
        polls.take_up(polls.due_ns or 0)
        polls.failed(2.0, polls.due_ns or 0)
    assert polls.due_ns is not None
    assert polls.due_ns % (2 * S) != 0
    polls.take_up(polls.due_ns)
    polls.succeeded(2.0, polls.due_ns)
    assert polls.due_ns % (2 * S) == 0


def test_what_cannot_be_asked_is_no_failure() -> None:
    """An interval that is none, or a device that is not attached, changes no delay."""
    polls = Polls()
    polls.begin(0)
    for now in (0, S, 2 * S):
        assert polls.take_up(now)
        polls.failed(float("nan"), now)
        assert (polls.failures, polls.due_ns) == (0, now + S)
    assert polls.take_up(3 * S)
    polls.passed(1.0, 3 * S)
    assert (polls.failures, polls.due_ns, polls.answered_ns) == (0, 4 * S, None)


def test_another_interval_counts_at_once() -> None:
    """A shorter interval does not wait for the end of a long one: a new grid begins with the
    latest poll."""
    polls = Polls()
    polls.begin(0)
    for now, every_s in ((0, 3600.0), (5 * S, 2.0)):
        polls.asked_ns = now
        assert polls.take_up(now)
        polls.succeeded(every_s, now)
        changed = polls.follow(every_s)
    assert changed
    assert polls.due_ns == 7 * S
