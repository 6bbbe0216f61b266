"""Filters that smooth: several values become one, and the noise less."""

from __future__ import annotations

import math
from collections import deque
from typing import Any, ClassVar

from edgekernel.core.filter import NUMBERS, Filter, changed, check_settings, spoilt, value_of
from edgekernel.core.sample import Sample


class _Window(Filter):
    """The latest samples, and what is made of them; the worst quality among them counts."""

    types: ClassVar[tuple[type, ...]] = NUMBERS

    def __init__(self, size: int) -> None:
        whole = isinstance(size, int) and not isinstance(size, bool)
        check_settings({f"size is {size!r}; it is an integer from 1 on": whole and size >= 1}, self)
        self.size = size
        self._samples: deque[Sample[Any]] = deque(maxlen=size)

    def take(self, sample: Sample[Any], now_ns: int) -> Sample[Any] | None:
        self._samples.append(sample)
        result = changed(sample, self._result([value_of(each) for each in self._samples]))
        for each in self._samples:
            result = spoilt(result, each.quality, each.reason)
        return result

    def reset(self) -> None:
        self._samples.clear()

    def _result(self, values: list[float]) -> float:
        raise NotImplementedError


class Median(_Window):
    """The middle one of the latest `size` values: single outliers vanish, steps stay steep.

    Of an even number of values, also while the window fills, it is halfway between the middle
    two. A BAD sample empties the window.
    """

    def _result(self, values: list[float]) -> float:
        values.sort()
        middle = len(values) // 2
        if len(values) % 2:
            return values[middle]
        return _halfway(values[middle - 1], values[middle])


class MovingAverage(_Window):
    """The mean of the latest `size` values, of fewer while the window fills.

    A BAD sample empties the window.
    """

    def _result(self, values: list[float]) -> float:
        mean = math.fsum(value / len(values) for value in values)  # no sum beyond what a float has
        return min(max(mean, min(values)), max(values))


class ExponentialAverage(Filter):
    """A mean in which each new value counts `weight` (above 0, at most 1) and the past the rest.

    The quality is that of the newest sample. A BAD sample lets it begin anew.
    """

    types: ClassVar[tuple[type, ...]] = NUMBERS

    def __init__(self, weight: float) -> None:
        check_settings(
            {f"weight is {weight!r}; it is above 0 and at most 1": 0 < weight <= 1}, self
        )
        self.weight = weight
        self._mean: float | None = None

    def take(self, sample: Sample[Any], now_ns: int) -> Sample[Any] | None:
        value = value_of(sample)
        if self._mean is None or self.weight == 1:
            self._mean = value
        else:
            low, high = min(self._mean, value), max(self._mean, value)
            mean = self._mean * (1 - self.weight) + value * self.weight
            self._mean = min(max(mean, low), high)
        return changed(sample, self._mean)

    def reset(self) -> None:
        self._mean = None


def _halfway(low: float, high: float) -> float:
    return min(max(low / 2 + high / 2, low), high)
