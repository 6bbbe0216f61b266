"""Approach: the way from the value that is driven to the one that was asked for, and its pace."""

from __future__ import annotations

from typing import Generic, TypeVar, cast

from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.output_limits import Limits, is_on

T = TypeVar("T", bound=bool | int | float | str)

STEP_S = 0.1
"""How often a number that changes at a limited rate is driven."""


class Approach(Generic[T]):
    """What of an output is pending: it stays on or off for its least time, and changes slowly.

    Used under the output's lock; it drives nothing and waits for nothing itself.
    """

    def __init__(self, limits: Limits, safe: T | None, kind: type[T]) -> None:
        """Begin with nothing pending and nothing driven."""
        self._limits = limits
        self._safe = safe
        self._whole = kind is int
        rate = limits.rate or 0.0
        step_s = max(STEP_S, 1 / rate) if self._whole and rate else STEP_S
        self._step_ns = int(step_s * NANOSECONDS)
        self._value: T | None = None
        self._since_ns = self._stepped_ns = 0
        self.target: T | None = None
        """What was asked for and is not driven yet; None if that is nothing."""

    def begin(self, now_ns: int) -> None:
        """Count from now: what was before nobody knows."""
        self._value = self.target = None
        self._since_ns = self._stepped_ns = now_ns

    @property
    def on_since_ns(self) -> int | None:
        """Since when it is on, on the monotonic time; None while it is off."""
        on = self._value is not None and is_on(self._value, self._safe)
        return self._since_ns if on else None

    def driven(self, value: T, now_ns: int) -> None:
        """Hear what is driven now."""
        before = self._safe if self._value is None else self._value
        if is_on(value, self._safe) != (before is not None and is_on(before, self._safe)):
            self._since_ns = now_ns
        self._value, self._stepped_ns = value, now_ns
        if value == self.target:
            self.target = None

    def step(self, now_ns: int) -> tuple[T | None, int | None]:
        """Return what is to be driven now on the way to the target, and when to ask again."""
        target, value = self.target, self._value
        if target is None:
            return None, None
        if value is None:
            return target, None
        free_ns = self._since_ns + self._least_ns(target)
        if free_ns > now_ns:
            return None, free_ns
        if self._limits.rate is None or target == value:
            return target, None
        return self._ramp(cast(float, value), cast(float, target), now_ns)

    def _least_ns(self, target: T) -> int:
        """Return how long it has to be as it is, on or off, if the target is otherwise."""
        on = self._value is not None and is_on(self._value, self._safe)
        if is_on(target, self._safe) == on:
            return 0
        least_s = self._limits.min_on_s if on else self._limits.min_off_s
        return int((least_s or 0.0) * NANOSECONDS)

    def _ramp(self, value: float, target: float, now_ns: int) -> tuple[T | None, int | None]:
        assert self._limits.rate is not None
        passed_ns = min(self._step_ns, now_ns - self._stepped_ns)
        most = self._limits.rate * passed_ns / NANOSECONDS
        if self._whole:
            most = int(most + 1e-9)  # sums of floating point
        if most <= 0:
            return None, self._stepped_ns + self._step_ns
        if abs(target - value) <= most:
            return cast(T, target), None
        following = value + (most if target > value else -most)
        return cast(T, following), now_ns + self._step_ns
