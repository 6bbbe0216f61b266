"""Readback: what the hardware says of an output, and doubts about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from edgekernel.core.reading import Reading
from edgekernel.core.sample import Quality, Sample
from edgekernel.core.signals import batch

T = TypeVar("T", bound=bool | int | float | str)


class Readback(Reading[T]):
    """A reading that is asked about each report whether that can be."""

    doubt: Callable[[Any], str] | None = None
    """Returns why a value that is allowed is BAD all the same, or ""; it must not set signals."""

    def judge_again(self) -> None:
        """Ask once more about the last report."""
        last = self.peek_sample()
        if last.value is not None and (last.quality is not Quality.BAD or self._doubted):
            with batch(), self._lock:
                self._take(Sample(last.value, Quality.GOOD, self._now_ns()))

    _doubted = False

    def _judged(self, sample: Sample[T]) -> Sample[T]:
        judged = super()._judged(sample)
        self._doubted = False
        if self.doubt is None or judged.quality is Quality.BAD:
            return judged
        reason = self.doubt(cast(T, judged.value))
        self._doubted = bool(reason)
        return Sample(judged.value, Quality.BAD, judged.time_ns, reason) if reason else judged
