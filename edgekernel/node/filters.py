"""The filters of a node file: `{ median = 5 }`, `{ range_check = [0, 50] }` and so on."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from edgekernel.core import filters
from edgekernel.core.sample import Quality
from edgekernel.node.duration import Duration

_LONGEST_WINDOW = 1000


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _Settings(_Table):
    """The settings of one filter; what makes no filter is wrong at once."""

    def make(self) -> filters.Filter:
        """Return the filter."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _can_be_made(self) -> Self:
        self.make()
        return self


Doubt = Literal["uncertain", "bad"]


class ClampTable(_Settings):
    """`clamp = [0, 100]`, or `{ low = 0 }`."""

    low: float | None = None
    high: float | None = None

    def make(self) -> filters.Filter:
        return filters.Clamp(self.low, self.high)


class RangeCheckTable(_Settings):
    """`range_check = [0, 50]`, or `{ low = 0, high = 50, quality = "uncertain" }`."""

    low: float | None = None
    high: float | None = None
    quality: Doubt = "bad"

    def make(self) -> filters.Filter:
        return filters.RangeCheck(self.low, self.high, Quality(self.quality))


class RateCheckTable(_Settings):
    """`rate_check = 2.0` per second, or `{ per_s = 2.0, confirmations = 3, quality = "bad" }`."""

    per_s: float = Field(gt=0)
    confirmations: int = Field(default=3, ge=2)
    quality: Doubt = "bad"

    def make(self) -> filters.Filter:
        return filters.RateCheck(self.per_s, self.confirmations, Quality(self.quality))


class FrozenTable(_Settings):
    """`frozen = "10min"`, or `{ after = "10min", quality = "bad" }`."""

    after: Duration
    quality: Doubt = "uncertain"

    def make(self) -> filters.Filter:
        return filters.Frozen(self.after, Quality(self.quality))


def _points(value: Any) -> Any:
    def is_number(each: Any) -> bool:
        return type(each) in (int, float) and abs(each) < math.inf

    pairs = value if isinstance(value, list) else [None]
    if not all(isinstance(p, list) and len(p) == 2 and all(map(is_number, p)) for p in pairs):
        raise ValueError("points are pairs of numbers, such as [[1.0, 0.0], [99.0, 100.0]]")
    return value


class CalibrateTable(_Settings):
    """`calibrate = { gain = 1.02, offset = -0.5 }`, or `[[measured, true], ...]`."""

    gain: float = 1.0
    offset: float = 0.0
    points: Annotated[list[list[float]] | None, BeforeValidator(_points)] = None

    def make(self) -> filters.Filter:
        pairs = None if self.points is None else [(m, t) for m, t in self.points]
        return filters.Calibrate(gain=self.gain, offset=self.offset, points=pairs)


def _limits(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if len(value) != 2:
        raise ValueError("limits are [low, high], or a table with low, high or both")
    return {"low": value[0], "high": value[1]}


def _short(key: str, *kinds: type) -> BeforeValidator:
    """Take a value that is no table for the one setting that matters most."""
    return BeforeValidator(lambda value: {key: value} if type(value) in kinds else value)


class FilterTable(_Table):
    """One filter: one key, which is its name."""

    median: Annotated[int, Field(ge=1, le=_LONGEST_WINDOW)] | None = None
    moving_average: Annotated[int, Field(ge=1, le=_LONGEST_WINDOW)] | None = None
    exponential_average: Annotated[float, Field(gt=0, le=1)] | None = None
    delta: Annotated[float, Field(gt=0)] | None = None
    clamp: Annotated[ClampTable, BeforeValidator(_limits)] | None = None
    range_check: Annotated[RangeCheckTable, BeforeValidator(_limits)] | None = None
    rate_check: Annotated[RateCheckTable, _short("per_s", int, float)] | None = None
    frozen: Annotated[FrozenTable, _short("after", int, float, str)] | None = None
    calibrate: Annotated[CalibrateTable, _short("points", list)] | None = None
    throttle: Duration | None = None
    debounce: Duration | None = None
    delayed_on: Duration | None = None
    delayed_off: Duration | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("a filter is a table with one key, such as { median = 5 }")
        return self

    @property
    def name(self) -> str:
        """Which filter it is."""
        (name,) = self.model_fields_set
        return name

    def make(self) -> filters.Filter:
        """Return the filter."""
        settings = getattr(self, self.name)
        if isinstance(settings, _Settings):
            return settings.make()
        return _SIMPLE[self.name](settings)


_SIMPLE: dict[str, Callable[[Any], filters.Filter]] = {
    "median": filters.Median,
    "moving_average": filters.MovingAverage,
    "exponential_average": filters.ExponentialAverage,
    "delta": filters.Delta,
    "throttle": filters.Throttle,
    "debounce": filters.Debounce,
    "delayed_on": filters.DelayedOn,
    "delayed_off": filters.DelayedOff,
}

SETTINGS = cast(
    "dict[str, type[BaseModel]]",
    {
        "clamp": ClampTable,
        "range_check": RangeCheckTable,
        "rate_check": RateCheckTable,
        "frozen": FrozenTable,
        "calibrate": CalibrateTable,
    },
)
"""The tables of the filters that have one."""
