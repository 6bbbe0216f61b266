"""One signal through a run: what it was for how long, and its curve in little space."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from edgekernel.core.sample import Quality

BUCKETS = 900
"""Into how many parts a run is cut for its curves: about one for each pixel of a plot."""
_MOST_SPANS = 5000

Value = bool | int | float | str


@dataclass(slots=True)
class Span:
    """A time in which something stayed as it was."""

    begin_s: float
    end_s: float
    state: object


@dataclass
class Track:
    """A reading or an output. Times are seconds since the recorder has started.

    Its space does not grow with the run: of the curve the least and the greatest value of each of
    900 parts of the run is kept.
    """

    label: str
    unit: str
    kind: type
    span_s: float
    is_output: bool = False
    safe: Value | None = None
    """The safe value of an output; None for readings, and where there is none."""

    changes: int = 0
    """How often the value has changed."""
    low: float = math.inf
    high: float = -math.inf
    on_s: float = 0.0
    """How long it was on, or not 0."""
    safe_s: float = 0.0
    """How long it was at its safe value."""
    quality_s: dict[Quality, float] = field(default_factory=lambda: dict.fromkeys(Quality, 0.0))
    value: Value | None = None
    quality: Quality = Quality.BAD
    curve: list[tuple[float, float] | None] = field(default_factory=lambda: [None] * BUCKETS)
    on: list[Span] = field(default_factory=list)
    """When it was on, if it is a switch."""
    doubtful: list[Span] = field(default_factory=list)
    """When its quality was not GOOD, and which it was."""
    _since_s: float = 0.0
    _weighed: float = 0.0
    _weight_s: float = 0.0

    @property
    def mean(self) -> float | None:
        """The mean over the time in which it was not BAD; None if it never was a number."""
        return self._weighed / self._weight_s if self._weight_s else None

    @property
    def numeric(self) -> bool:
        """Whether it is a number, and no switch or text."""
        return self.kind in (int, float)

    def note(self, at_s: float, value: Value | None, quality: Quality) -> None:
        """Take note that it is something else from now on."""
        self.close(at_s)
        if value != self.value and value is not None:
            self.changes += self.value is not None
            self.value = value
        self.quality = quality
        self._cover(at_s, at_s)

    def lose(self, at_s: float) -> None:
        """Take note that nobody knows what it is from now on."""
        self.close(at_s)
        self.value, self.quality = None, Quality.BAD

    def close(self, at_s: float) -> None:
        """Count what it was until now."""
        begin_s, self._since_s = self._since_s, at_s
        passed_s = at_s - begin_s
        if passed_s <= 0:
            return
        self.quality_s[self.quality] += passed_s
        if self.quality is not Quality.GOOD:
            _extend(self.doubtful, begin_s, at_s, self.quality)
        if self.value is None:
            return
        self.safe_s += passed_s if self.value == self.safe and self.safe is not None else 0.0
        if self.quality is Quality.BAD:
            return
        if self.kind is not str and self.value:
            self.on_s += passed_s
            if self.kind is bool:
                _extend(self.on, begin_s, at_s, True)
        self._weigh(begin_s, at_s)

    def _weigh(self, begin_s: float, end_s: float) -> None:
        if isinstance(self.value, str | None) or not math.isfinite(self.value):
            return
        self._weighed += float(self.value) * (end_s - begin_s)
        self._weight_s += end_s - begin_s
        self._cover(begin_s, end_s)

    def _cover(self, begin_s: float, end_s: float) -> None:
        """Let the parts of the run in a time hold the present value."""
        value = self.value
        usable = not isinstance(value, str | None) and math.isfinite(value)
        if not usable or self.quality is Quality.BAD:
            return
        assert isinstance(value, int | float)
        number = float(value)
        self.low, self.high = min(self.low, number), max(self.high, number)
        for index in range(self._bucket(begin_s), self._bucket(end_s) + 1):
            known = self.curve[index] or (number, number)
            self.curve[index] = min(known[0], number), max(known[1], number)

    def _bucket(self, at_s: float) -> int:
        return min(BUCKETS - 1, int(at_s / self.span_s * BUCKETS)) if self.span_s else 0


def _extend(spans: list[Span], begin_s: float, end_s: float, state: object) -> None:
    """Add a time, to the last one if it goes on there. Of too many the last one swallows the
    rest, so that it still shows that there was something."""
    goes_on = bool(spans) and spans[-1].state == state and begin_s <= spans[-1].end_s
    if goes_on or len(spans) >= _MOST_SPANS:
        spans[-1].end_s = end_s
    else:
        spans.append(Span(begin_s, end_s, state))
