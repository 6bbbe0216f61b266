"""Times in failure texts."""

from __future__ import annotations

import pytest

from edgekernel.testing.times import moment, span


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (2.5, "2.5 s"), (100, "100 s"), (1e-9, "0.000000001 s")]
)
def test_span(seconds: float, text: str) -> None:
    """A length of time has no more digits than it needs, down to a nanosecond."""
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 s"),
        (12_500_000_000, "12.5 s"),
        (3_599_999_999_999, "3599.999999999 s"),
        (3_600_000_000_000, "0 d 01:00:00"),
        (97_210_250_000_000, "1 d 03:00:10.25"),
    ],
)
def test_moment(ns: int, text: str) -> None:
    """A time of less than an hour is in seconds, a later one in days and the time of day."""
    assert moment(ns) == text
