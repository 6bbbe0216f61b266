"""Filters: the steps between what a driver measures and what its reading says.

A filter is made with its settings, and named where a reading is declared or set; each reading has
copies of its own. The filters there are stand in `edgekernel.filters`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from edgekernel.core.errors import ConfigError
from edgekernel.core.sample import Quality, Sample

NUMBERS: tuple[type, ...] = (int, float)
SWITCHES: tuple[type, ...] = (bool,)


class Filter(ABC):
    """One step. A subclass takes samples and gives them back, changed or not, or drops them.

    A BAD sample passes every filter unchanged, at once; `reset` says what is forgotten then. No
    filter makes a quality better. A filter keeps to its own: it runs under the lock of its
    reading, so it must neither wait nor set signals.
    """

    types: ClassVar[tuple[type, ...]] = (bool, int, float, str)
    """Of which types the readings may be."""
    due_ns: int | None = None
    """When `wake` is to be called, on the monotonic time of the runtime's clock; None is never."""

    @abstractmethod
    def take(self, sample: Sample[Any], now_ns: int) -> Sample[Any] | None:
        """Return what becomes of a sample that is not BAD; None drops it.

        `now_ns` is the monotonic time.
        """

    def wake(self, now_ns: int) -> Sample[Any] | None:
        """Return what was held back until `due_ns`, which is to be set anew; None is nothing."""
        self.due_ns = None
        return None

    def reset(self) -> None:
        """Forget what came before: a BAD sample has come."""
        self.due_ns = None

    def apply(self, sample: Sample[Any], now_ns: int) -> Sample[Any] | None:
        """Do what there is to do with any sample."""
        if sample.quality is Quality.BAD:
            self.reset()
            return sample
        return self.take(sample, now_ns)


class Chain:
    """The filters of one reading, one after the other. Not for several threads at a time."""

    def __init__(self, filters: Sequence[Filter]) -> None:
        """Copy the filters: what these have seen, others have not."""
        from copy import deepcopy

        self._filters = [deepcopy(each) for each in filters]

    @property
    def due_ns(self) -> int | None:
        """When the next filter is to be woken."""
        return min((d for each in self._filters if (d := each.due_ns) is not None), default=None)

    def take(self, sample: Sample[Any], now_ns: int) -> list[Sample[Any]]:
        """Return what comes out for a sample, after what was due before it; oldest first."""
        out = self.wake(now_ns)
        passed = self._pass(sample, 0, now_ns)
        return out if passed is None else [*out, passed]

    def wake(self, now_ns: int) -> list[Sample[Any]]:
        """Return what comes out because it was due; oldest first."""
        out: list[Sample[Any]] = []
        for position, each in enumerate(self._filters):
            if each.due_ns is None or each.due_ns > now_ns:
                continue
            held = each.wake(now_ns)
            passed = None if held is None else self._pass(held, position + 1, now_ns)
            if passed is not None:
                out.append(passed)
        return out

    def reset(self) -> None:
        """Forget all that came before."""
        for each in self._filters:
            each.reset()

    def _pass(self, sample: Sample[Any], position: int, now_ns: int) -> Sample[Any] | None:
        for each in self._filters[position:]:
            passed = each.apply(sample, now_ns)
            if passed is None:
                return None
            sample = passed
            if isinstance(sample.value, float) and not math.isfinite(sample.value):
                sample = spoilt(sample, Quality.BAD, f"{sample.value} is no finite number")
        return sample


def check_filters(label: str, filters: Sequence[Filter], type: type) -> tuple[Filter, ...]:
    """Return filters as a tuple; raise ConfigError for what is none, or not for such a reading."""
    for each in filters:
        if not isinstance(each, Filter):
            raise ConfigError(f"{label}: {each!r} is no filter, such as filters.Median(5)")
        if type not in each.types:
            known = " or ".join(known.__name__ for known in each.types)
            name = each.__class__.__name__
            raise ConfigError(f"{label}: {name} is for {known}; this reading is {type.__name__}")
    return tuple(filters)


def value_of(sample: Sample[Any]) -> Any:
    """Return the value of a sample that is not BAD: there is one."""
    return sample.value


def changed(sample: Sample[Any], value: object) -> Sample[Any]:
    """Return a sample with another value."""
    return Sample(value, sample.quality, sample.time_ns, sample.reason)


def spoilt(sample: Sample[Any], quality: Quality, reason: str) -> Sample[Any]:
    """Return a sample with this quality, if it is worse than its own."""
    if not quality.worse_than(sample.quality):
        return sample
    return Sample(sample.value, quality, sample.time_ns, reason)


def check_settings(problems: dict[str, bool], filter: Filter) -> None:
    """Raise ConfigError with what is wrong in the settings of a filter."""
    wrong = [text for text, fine in problems.items() if not fine]
    if wrong:
        raise ConfigError(*(f"{type(filter).__name__}: {text}" for text in wrong))
