"""Filters that take time into account: what comes too often, and what does not last."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.filter import SWITCHES, Filter, check_settings
from edgekernel.core.sample import Sample


def _ns(seconds: float, name: str, filter: Filter) -> int:
    text = f"{name} is {seconds!r}; it is in seconds, from 0 on"
    check_settings({text: 0 <= seconds < math.inf}, filter)
    return int(seconds * NANOSECONDS)


class Throttle(Filter):
    """Pass one value in `interval_s` seconds: the first at once, later the latest there is.

    So the last value is never lost. What is of worse quality than the one before passes at once,
    and so does the first value after a BAD sample.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_ns = _ns(interval_s, "interval_s", self)
        self._passed: Sample[Any] | None = None
        self._open_ns = 0
        self._held: Sample[Any] | None = None

    def take(self, sample: Sample[Any], now_ns: int) -> Sample[Any] | None:
        last = self._passed
        if last is None or now_ns >= self._open_ns or sample.quality.worse_than(last.quality):
            return self._let_through(sample, now_ns)
        self._held, self.due_ns = sample, self._open_ns
        return None

    def wake(self, now_ns: int) -> Sample[Any] | None:
        self.due_ns = None
        return None if self._held is None else self._let_through(self._held, now_ns)

    def reset(self) -> None:
        self._passed = self._held = self.due_ns = None

    def _let_through(self, sample: Sample[Any], now_ns: int) -> Sample[Any]:
        self._passed, self._open_ns = sample, now_ns + self._interval_ns
        self._held = self.due_ns = None
        return sample


class Debounce(Filter):
    """Pass a value when it has stayed the same for `settle_s` seconds.

    Whatever happens in between, it ends at the value that stays, and tells each change once. The
    first value of all, and the first after a BAD sample, has to stay too.
    """

    types: ClassVar[tuple[type, ...]] = (bool, int, str)

    def __init__(self, settle_s: float) -> None:
        self._settle_ns = _ns(settle_s, "settle_s", self)
        self._settled: Sample[Any] | None = None
        self._coming: Sample[Any] | None = None

    def take(self, sample: Sample[Any], now_ns: int) -> Sample[Any] | None:
        if self._settled is not None and sample.value == self._settled.value:
            self._coming = self.due_ns = None
            self._settled = sample
            return sample
        if self._coming is None or sample.value != self._coming.value:
            self.due_ns = now_ns + self._settle_ns
        self._coming = sample
        return self.wake(now_ns) if self.due_ns == now_ns else None

    def wake(self, now_ns: int) -> Sample[Any] | None:
        self._settled, self._coming, self.due_ns = self._coming, None, None
        return self._settled

    def reset(self) -> None:
        self._settled = self._coming = self.due_ns = None


class _Delayed(Filter):
    """Pass one level of a switch when it has lasted, the other at once."""

    types: ClassVar[tuple[type, ...]] = SWITCHES
    level: ClassVar[bool]

    def __init__(self, delay_s: float) -> None:
        self._delay_ns = _ns(delay_s, "delay_s", self)
        self._lasted = False
        self._coming: Sample[Any] | None = None

    def take(self, sample: Sample[Any], now_ns: int) -> Sample[Any] | None:
        if sample.value is not self.level:
            self.reset()
            return sample
        if self._lasted:
            return sample
        if self._coming is None:
            self.due_ns = now_ns + self._delay_ns
        self._coming = sample
        return self.wake(now_ns) if self.due_ns == now_ns else None

    def wake(self, now_ns: int) -> Sample[Any] | None:
        coming, self._coming, self.due_ns = self._coming, None, None
        self._lasted = True
        return coming

    def reset(self) -> None:
        self._lasted, self._coming, self.due_ns = False, None, None


class DelayedOn(_Delayed):
    """Pass on when it has lasted for `delay_s` seconds, off at once."""

    level = True


class DelayedOff(_Delayed):
    """Pass off when it has lasted for `delay_s` seconds, on at once."""

    level = False
