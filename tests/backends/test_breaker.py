"""The circuit breaker: closed, open, half-open."""

from __future__ import annotations

from edgekernel.backends.breaker import FIRST_S, LIMIT_S, Breaker
from edgekernel.hal.health import BusState
from edgekernel.sim.clock import SimClock


def test_opens_after_so_many_failures_in_a_row() -> None:
    """Failures open it when there were enough in a row; one success in between begins anew."""
    with SimClock() as clock:
        breaker = Breaker("chip", clock, 3)
        for _ in range(2):
            breaker.failed("no answer")
        breaker.worked()
        for _ in range(2):
            breaker.failed("no answer")
        assert (breaker.state, breaker.lets_through, breaker.reason) == (BusState.CLOSED, True, "")
        breaker.failed("no answer")
        assert (breaker.state, breaker.lets_through) == (BusState.OPEN, False)


def test_is_tried_again_ever_more_seldom() -> None:
    """An open one lets an attempt through after a while, which doubles up to its limit."""
    with SimClock() as clock:
        breaker = Breaker("bus", clock, 1)
        for failure in range(10):
            breaker.attempt()
            breaker.failed("stuck")
            wait_s = min(FIRST_S * 2**failure, LIMIT_S)
            clock.advance(0.8 * wait_s - 0.001)  # delays vary by a fifth
            assert not breaker.lets_through
            clock.advance(0.4 * wait_s + 0.002)
            assert breaker.lets_through
        breaker.attempt()
        assert (breaker.state, breaker.lets_through) == (BusState.HALF_OPEN, True)
        breaker.worked()
        breaker.failed("stuck")
        clock.advance(1.2 * FIRST_S)
        assert breaker.lets_through


def test_says_since_when_and_until_when() -> None:
    """Its reason names the cause, how often it failed, since when, and when it is tried again."""
    with SimClock() as clock:
        clock.advance(12)
        breaker = Breaker("bus", clock, 1)
        breaker.failed("SDA is held")
        clock.advance(0.5)
        assert breaker.reason.startswith(
            "out of use since 2026-01-01T00:00:12.000Z after 1 failure (SDA is held); "
            "tried again at 2026-01-01T00:00:1"
        )
        breaker.failed("SDA is held")
        assert "after 2 failures" in breaker.reason
        assert "2026-01-01T00:00:12" in breaker.reason
        breaker.worked()
        assert breaker.reason == ""
