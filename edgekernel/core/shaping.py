"""Filters that shape single values: calibrate, clamp, and leave out what is hardly new."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

from edgekernel.core.filter import NUMBERS, Filter, changed, check_settings, value_of
from edgekernel.core.sample import Sample

_ROUNDING = 1e-9
"""How much less than a whole step still is one: 20.3 - 20.2 is a little less than 0.1."""


class Calibrate(Filter):
    """Turn what is measured into what is: `gain` times the value, plus `offset`.

    Or along `points`, pairs of measured and true value, with measured values that rise: two
    points are a line; between more it goes straight from point to point, and beyond the first and
    the last as between the two next to it.
    """

    types: ClassVar[tuple[type, ...]] = NUMBERS

    def __init__(
        self,
        *,
        gain: float = 1.0,
        offset: float = 0.0,
        points: Sequence[tuple[float, float]] | None = None,
    ) -> None:
        pairs = [tuple(point) for point in points or ()]
        right = all(len(pair) == 2 and all(map(math.isfinite, pair)) for pair in pairs)
        rising = right and all(a[0] < b[0] for a, b in pairwise(pairs))
        check_settings(
            {
                "give either points, or gain and offset": not pairs or (gain, offset) == (1, 0),
                f"gain is {gain!r}, offset {offset!r}; both are finite": math.isfinite(gain)
                and math.isfinite(offset),
                "points are two or more": points is None or len(pairs) >= 2,
                "a point is a measured and a true value, both finite": right,
                "the measured values of the points rise": not right or rising,
            },
            self,
        )
        self.gain, self.offset = gain, offset
        self.points: tuple[tuple[float, float], ...] = tuple((m, t) for m, t in pairs)

    def take(self, sample: Sample[Any], now_ns: int) -> Sample[Any] | None:
        return changed(sample, self._true(value_of(sample)))

    def _true(self, measured: float) -> float:
        if not self.points:
            return measured * self.gain + self.offset
        at = bisect_right(self.points, measured, key=lambda point: point[0])
        first = min(max(at - 1, 0), len(self.points) - 2)
        (m1, t1), (m2, t2) = self.points[first : first + 2]
        part = (measured - m1) / (m2 - m1)
        true = t1 + (t2 - t1) * part
        if 0 <= part <= 1:  # rounding leads to no value beyond the points, nor back from them
            return min(max(true, min(t1, t2)), max(t1, t2)) if part < 1 else t2
        nearest = t1 if part < 0 else t2
        return max(true, nearest) if (part > 1) == (t2 >= t1) else min(true, nearest)


class Clamp(Filter):
    """Bring a value below `low` up to it, and one above `high` down to it; None is no limit."""

    types: ClassVar[tuple[type, ...]] = NUMBERS

    def __init__(self, low: float | None = None, high: float | None = None) -> None:
        self.low = -math.inf if low is None else low
        self.high = math.inf if high is None else high
        check_settings({f"low is {low!r}, above high, {high!r}": self.low <= self.high}, self)

    def take(self, sample: Sample[Any], now_ns: int) -> Sample[Any] | None:
        return changed(sample, min(max(value_of(sample), self.low), self.high))


class Delta(Filter):
    """Pass a value only if it differs by `at_least` from the last one that has passed.

    What has another quality or reason passes too, and so does the first value after a BAD sample.
    """

    types: ClassVar[tuple[type, ...]] = NUMBERS

    def __init__(self, at_least: float) -> None:
        check_settings({f"at_least is {at_least!r}; it is above 0": 0 < at_least < math.inf}, self)
        self.at_least = at_least
        self._last: Sample[Any] | None = None

    def take(self, sample: Sample[Any], now_ns: int) -> Sample[Any] | None:
        last = self._last
        if (
            last is not None
            and (last.quality, last.reason) == (sample.quality, sample.reason)
            and abs(value_of(sample) - value_of(last)) < self.at_least * (1 - _ROUNDING)
        ):
            return None
        self._last = sample
        return sample

    def reset(self) -> None:
        self._last = None
