"""What a drill does to a reading: it comes before the filters of the node file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from edgekernel.core.filter import Filter, changed, value_of
from edgekernel.core.reading import Reading
from edgekernel.core.sample import Sample

Alter = Callable[[Any], Any]


class Disturbed(Filter):
    """The first filter of a reading, while a drill alters what the driver has measured."""

    def __init__(self) -> None:
        self.alters: list[Alter] = []

    def __deepcopy__(self, memo: object) -> Self:
        """Stay the one that the drill knows."""
        return self

    def take(self, sample: Sample[Any], now_ns: int) -> Sample[Any]:
        """Return the sample with the value as it is to be."""
        value = before = value_of(sample)
        for alter in self.alters:
            value = alter(value)
        return changed(sample, round(value) if type(before) is int else value)


def disturb(reading: Reading[Any], alter: Alter) -> Callable[[], None]:
    """Alter what is measured from now on, after what alters it already; return what ends it."""
    filters = reading.filters
    first = filters[0] if filters and isinstance(filters[0], Disturbed) else None
    if first is None:
        first = Disturbed()
        reading.filters = (first, *filters)
    first.alters.append(alter)

    def end() -> None:
        first.alters.remove(alter)
        if not first.alters:
            reading.filters = tuple(each for each in reading.filters if each is not first)

    return end
