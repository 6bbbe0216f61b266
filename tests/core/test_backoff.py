"""Delays and budgets of restarts (promise P7)."""

from __future__ import annotations

import pytest

from edgekernel.core.backoff import Backoff, Budget

S = 1_000_000_000


class TestBackoff:
    def test_doubles_up_to_the_limit(self) -> None:
        """P7: each delay is twice the one before, give or take a fifth, up to the limit."""
        backoff = Backoff("a", 0.5, 6.0)
        for expected in (0.5, 1.0, 2.0, 4.0, 6.0, 6.0):
            assert 0.8 * expected <= backoff.failed() <= 1.2 * expected
        assert backoff.failures == 6

    def test_varies_by_name_and_not_by_run(self) -> None:
        """P10: the same name waits the same, another one differently."""
        first, again, other = (Backoff(name, 1.0, 60.0) for name in ("a/x", "a/x", "b/x"))
        delays = [first.failed() for _ in range(5)]
        assert delays == [again.failed() for _ in range(5)]
        assert delays != [other.failed() for _ in range(5)]

    def test_never_overflows(self) -> None:
        """P7: after thousands of failures the delay is still the limit."""
        backoff = Backoff("a", 1.0, 60.0)
        assert max(backoff.failed() for _ in range(5000)) <= 72.0

    @pytest.mark.parametrize(("ran_s", "failures"), [(0.0, 3), (59.9, 3), (60.0, 0), (1e6, 0)])
    def test_begins_anew_after_a_long_run(self, ran_s: float, failures: int) -> None:
        """P7: a run as long as the longest delay counts as recovery."""
        backoff = Backoff("a", 1.0, 60.0)
        for _ in range(3):
            backoff.failed()
        backoff.ran(ran_s)
        assert backoff.failures == failures


class TestBudget:
    def test_counts_in_a_sliding_stretch_of_time(self) -> None:
        """P7: at most n restarts in any t seconds, not per fixed period."""
        budget = Budget(2, 10.0)
        times = (0, 9, 10, 11, 19, 20, 30)
        assert [budget.take(t * S) for t in times] == [True, True, False, True, False, True, True]

    def test_of_nothing_allows_nothing(self) -> None:
        """P7: a budget of 0 means no restart."""
        assert not Budget(0, 60.0).take(0)
