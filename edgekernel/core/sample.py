"""Quality and Sample: a value together with how far it can be trusted."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar

from edgekernel.core.clock import utc
from edgekernel.core.record import dataclass

if TYPE_CHECKING:
    from datetime import datetime

T = TypeVar("T")


class Quality(StrEnum):
    """How far a value can be trusted; the three classes of OPC UA Part 8, section 6.3."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    BAD = "bad"

    def worse_than(self, other: Quality) -> bool:
        """Say whether this one wins where the two meet: the worst of all inputs does."""
        return _RANKS[self] > _RANKS[other]


_RANKS = {Quality.GOOD: 0, Quality.UNCERTAIN: 1, Quality.BAD: 2}


@dataclass(frozen=True, slots=True)
class Sample(Generic[T]):
    """A value with quality, the wall time at which this was reported, and the reason if not GOOD.

    `value` is None while there has never been one; with BAD it is the last one known, and the
    time is that of the failure.
    """

    value: T | None
    quality: Quality
    time_ns: int
    reason: str = ""

    @property
    def time(self) -> datetime:
        """When this was reported, timezone-aware, in UTC."""
        return utc(self.time_ns)

    def says_the_same(self, other: Sample[T]) -> bool:
        """Compare all but the time."""
        return (self.value, self.quality, self.reason) == (
            other.value,
            other.quality,
            other.reason,
        )
