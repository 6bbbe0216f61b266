"""Readback: what the hardware says of an output, and doubts about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from edgekernel.core.reading import Reading
from edgekernel.core.sample import Quality, Sample
from edgekernel.core.signals import batch

T = TypeVar("T", bound=bool | int | float | str)

_LEFT = "detached"
"""As the readings of a device say it."""


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

    def begin(self) -> None:
        """Hear that its output may be driven: its device is attached."""
        self._left = False

    def leave(self) -> None:
        """Hear that none has it any more: it is BAD, and so is what a late write reports.

        One that is BAD already keeps its own reason.
        """
        self._left = True
        if self.peek_sample().quality is not Quality.BAD:
            self.fail(_LEFT)

    _doubted = False
    _left = False

    def _judged(self, sample: Sample[T]) -> Sample[T]:
        judged = super()._judged(sample)
        self._doubted = False
        if self._left and judged.quality is not Quality.BAD:
            return Sample(judged.value, Quality.BAD, judged.time_ns, _LEFT)
        if self.doubt is None or judged.quality is Quality.BAD:
            return judged
        reason = self.doubt(cast(T, judged.value))
        self._doubted = bool(reason)
        return Sample(judged.value, Quality.BAD, judged.time_ns, reason) if reason else judged
