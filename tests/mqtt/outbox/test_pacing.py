"""Pace: so many messages and bytes in a second, not more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgekernel.mqtt.outbox.pacing import Pace

SECOND = 1_000_000_000


def passing(pace: Pace, size: int, seconds: int) -> int:
    """Return how many messages pass when each goes as soon as it may."""
    now_ns = count = 0
    while True:
        now_ns += pace.wait_ns(now_ns)
        if now_ns >= seconds * SECOND:
            return count
        pace.passed(size, now_ns)
        count += 1


@given(st.integers(1, 1000), st.integers(0, 100_000), st.integers(1, 5000))
def test_limits(messages: int, size_per_s: int, size: int) -> None:
    """In ten seconds as many pass as the limits allow, and those of the first 50 ms more."""
    rate = min(messages, size_per_s / size) if size_per_s else messages
    count = passing(Pace(messages, size_per_s), size, 10)
    assert 10 * rate - 2 <= count <= 10.05 * rate + 2


def test_no_limit() -> None:
    """Without limits nothing waits."""
    pace = Pace(0, 0)
    for _ in range(1000):
        assert pace.wait_ns(0) == 0
        pace.passed(10_000, 0)


def test_nothing_saved_up() -> None:
    """After a long rest no more than what 50 ms allow goes at once."""
    pace = Pace(100, 0)
    now_ns = 1000 * SECOND
    count = 0
    while pace.wait_ns(now_ns) == 0:
        pace.passed(1, now_ns)
        count += 1
    assert count in (5, 6)
