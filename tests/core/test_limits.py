"""Rate limits: so many calls in so much time, on the clock."""

from __future__ import annotations

import pytest

from edgekernel.core.errors import ConfigError, RateLimitedError
from edgekernel.core.limits import RateLimit, Rates
from edgekernel.sim import SimClock


@pytest.mark.parametrize(
    ("text", "limit"),
    [("1/s", RateLimit(1, 1.0)), ("10/min", RateLimit(10, 60.0)), ("3/h", RateLimit(3, 3600.0))],
)
def test_parse(text: str, limit: RateLimit) -> None:
    """A limit is written as a count and a unit of time."""
    assert RateLimit.parse(text) == limit


@pytest.mark.parametrize("text", ["", "10", "0/s", "-1/s", "1/day", "1 / s", "1.5/s", "10/minute"])
def test_what_is_no_limit(text: str) -> None:
    """Anything else is refused, with an example."""
    with pytest.raises(ConfigError, match="10/min"):
        RateLimit.parse(text)


def test_a_burst_then_one_at_a_time() -> None:
    """The whole count may come at once; after that each call waits for its share of the time."""
    with SimClock() as clock:
        rates, limit = Rates(clock), RateLimit(3, 60.0)
        for _ in range(3):
            rates.take("fan.boost", limit)
        with pytest.raises(RateLimitedError, match=r"at most 3 in 60 s; try again in 20 s") as told:
            rates.take("fan.boost", limit)
        assert told.value.code == "rate_limited"
        assert told.value.retry_after_s == pytest.approx(20.0)
        rates.take("fan.slow", limit)
        clock.advance(told.value.retry_after_s)
        rates.take("fan.boost", limit)
        with pytest.raises(RateLimitedError):
            rates.take("fan.boost", limit)


def test_over_a_day_the_rate_is_exact() -> None:
    """Who tries all the time is let through as often as the limit says, and no more."""
    with SimClock() as clock:
        rates, passed = Rates(clock), 0
        for _ in range(24 * 3600):
            try:
                rates.take("fan.boost", RateLimit(10, 60.0))
                passed += 1
            except RateLimitedError:
                pass
            clock.advance(1.0)
        assert passed == pytest.approx(24 * 60 * 10, abs=10)


def test_looking_takes_nothing() -> None:
    """Without `consume` it is only said whether there is a token."""
    with SimClock() as clock:
        rates, limit = Rates(clock), RateLimit(1, 1.0)
        for _ in range(5):
            rates.take("fan.boost", limit, consume=False)
        rates.take("fan.boost", limit)
        with pytest.raises(RateLimitedError):
            rates.take("fan.boost", limit, consume=False)
        rates.take("fan.boost", None)


def test_buckets_do_not_pile_up() -> None:
    """P9: what is kept of the commands of parts that come and go is bounded; a limit that is used
    up stays so meanwhile."""
    with SimClock() as clock:
        rates, limit = Rates(clock), RateLimit(1, 60.0)
        slow = RateLimit(1, 3600.0)
        rates.take("fan.boost", slow)
        for number in range(30):
            for part in range(100):
                rates.take(f"child-{number}-{part}.go", limit)
            clock.advance(60.0)
        assert len(rates._buckets) < 500
        with pytest.raises(RateLimitedError):
            rates.take("fan.boost", slow)
