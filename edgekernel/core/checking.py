"""Filters that doubt a value: it passes, and its quality says why it should not be relied on."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.filter import NUMBERS, Filter, check_settings, spoilt, value_of
from edgekernel.core.sample import Quality, Sample


def _doubts(quality: Quality) -> dict[str, bool]:
    text = f"quality is {quality!r}; it is Quality.UNCERTAIN or Quality.BAD"
    return {text: quality in (Quality.UNCERTAIN, Quality.BAD)}


class RangeCheck(Filter):
    """A value below `low` or above `high` has this quality; None is no limit.

    Unlike the range that a driver declares, which is what its chip can measure, this is what is
    plausible where the chip is.
    """

    types: ClassVar[tuple[type, ...]] = NUMBERS

    def __init__(
        self,
        low: float | None = None,
        high: float | None = None,
        quality: Quality = Quality.BAD,
    ) -> None:
        self.low = -math.inf if low is None else low
        self.high = math.inf if high is None else high
        self.quality = quality
        limits = {f"low is {low!r}, above high, {high!r}": self.low <= self.high}
        check_settings({**limits, **_doubts(quality)}, self)

    def take(self, sample: Sample[Any], now_ns: int) -> Sample[Any] | None:
        value = value_of(sample)
        if self.low <= value <= self.high:
            return sample
        if value < self.low:
            return spoilt(sample, self.quality, f"{value:g} is below {self.low:g}")
        return spoilt(sample, self.quality, f"{value:g} is above {self.high:g}")


class RateCheck(Filter):
    """A value that changes by more than `per_s` in each second since the last good one is a spike.

    It has this quality. A new level that persists is believed at its `confirmations`-th value in a
    row that does not change faster; so is one that slower change could have reached by now. The
    first value of all is believed. A BAD sample changes nothing in that: what follows it is
    compared with what was before.
    """

    types: ClassVar[tuple[type, ...]] = NUMBERS

    def __init__(
        self, per_s: float, confirmations: int = 3, quality: Quality = Quality.BAD
    ) -> None:
        self.per_s, self.confirmations, self.quality = per_s, confirmations, quality
        check_settings(
            {
                f"per_s is {per_s!r}; it is above 0": 0 < per_s < math.inf,
                f"confirmations is {confirmations!r}; it is from 2 on": confirmations >= 2,
                **_doubts(quality),
            },
            self,
        )
        self._believed: tuple[float, int] | None = None
        self._level: tuple[float, int] | None = None  # the latest of the values that are doubted
        self._confirmed = 0

    def take(self, sample: Sample[Any], now_ns: int) -> Sample[Any] | None:
        here = value_of(sample), now_ns
        if self._believed is None or not self._too_fast(self._believed, here):
            return self._believe(sample, now_ns)
        again = self._level is not None and not self._too_fast(self._level, here)
        self._confirmed = self._confirmed + 1 if again else 1
        self._level = here
        if self._confirmed >= self.confirmations:
            return self._believe(sample, now_ns)
        change = abs(here[0] - self._believed[0])
        seconds = (now_ns - self._believed[1]) / NANOSECONDS
        reason = f"changed by {change:g} in {seconds:g} s, at most {self.per_s:g} per s is likely"
        return spoilt(sample, self.quality, reason)

    def reset(self) -> None:
        """Forget nothing: a spike may well follow a failure."""

    def _believe(self, sample: Sample[Any], now_ns: int) -> Sample[Any]:
        self._believed = value_of(sample), now_ns
        self._level, self._confirmed = None, 0
        return sample

    def _too_fast(self, before: tuple[float, int], after: tuple[float, int]) -> bool:
        allowed = self.per_s * ((after[1] - before[1]) / NANOSECONDS)
        return abs(after[0] - before[0]) > allowed


class Frozen(Filter):
    """A value that has not changed in the least for `after_s` seconds has this quality.

    A live sensor has noise; one that hangs repeats itself, and would drive an actuator for ever.
    It belongs first among the filters, where it sees raw values. Only time during which there were
    values counts: BAD samples interrupt it, and end nothing.
    """

    types: ClassVar[tuple[type, ...]] = NUMBERS

    def __init__(self, after_s: float, quality: Quality = Quality.UNCERTAIN) -> None:
        fine = 0 < after_s < math.inf
        check_settings({f"after_s is {after_s!r}; it is above 0": fine, **_doubts(quality)}, self)
        self.after_s, self.quality = after_s, quality
        self._value: float | None = None
        self._same_ns = 0
        self._seen_ns: int | None = None

    def take(self, sample: Sample[Any], now_ns: int) -> Sample[Any] | None:
        if sample.value != self._value:
            self._value, self._same_ns = sample.value, 0
        elif self._seen_ns is not None:
            self._same_ns += now_ns - self._seen_ns
        self._seen_ns = now_ns
        if self._same_ns < self.after_s * NANOSECONDS:
            return sample
        return spoilt(sample, self.quality, f"frozen: the same for {self.after_s:g} s")

    def reset(self) -> None:
        self._seen_ns = None
