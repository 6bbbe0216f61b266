"""Readings: a device's read-only signals, each value with its quality."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast, overload

from edgekernel.core.errors import BadReadingError, ConfigError
from edgekernel.core.record import dataclass
from edgekernel.core.sample import Quality, Sample
from edgekernel.core.signals import Signal, batch
from edgekernel.core.values import ValueType

if TYPE_CHECKING:
    from edgekernel.core.device import Device
    from edgekernel.core.filter import Chain, Filter
    from edgekernel.core.timers import Timer, Timers

T = TypeVar("T", bound=bool | int | float | str)

NO_VALUE_YET = "no value yet"
"""The reason of a reading of which nothing was ever reported; its time says nothing then."""


class Reading(Generic[T]):
    """What a device reports. Reading it inside a computed or effect makes that depend on it.

    It changes when its value, quality or reason changes; measuring the same again only renews
    its time. What is reported goes through its filters first.
    """

    def __init__(
        self,
        label: str,
        values: ValueType[T],
        now_ns: Callable[[], int],
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Make a reading that has no value yet; `label` names it in errors."""
        self.label = label
        self.values = values
        self._now_ns = now_ns
        self._monotonic_ns = monotonic_ns
        self._signal: Signal[Sample[T]] = Signal(
            Sample(None, Quality.BAD, now_ns(), NO_VALUE_YET),
            equals=Sample.says_the_same,
            name=label,
        )
        self._spell = 0  # how often it was BAD, but for the beginning, when it has no value yet
        self._measured_ns = 0
        self._measured_at_ns: int | None = None
        self._lock = threading.Lock()  # around what becomes of a sample, in the order of coming
        self._filters: tuple[Filter, ...] = ()
        self._chain: Chain | None = None
        self._timer: Timer | None = None
        self._stale_s: float | None = None
        self._look_again: Callable[[], object] = lambda: None

    @property
    def sample(self) -> Sample[T]:
        """Value, quality, time and reason, whatever the quality."""
        return self._signal.get()

    @property
    def quality(self) -> Quality:
        """How far the value can be trusted."""
        return self.sample.quality

    @property
    def value(self) -> T:
        """The value; raises BadReadingError while the quality is BAD."""
        return self.get()

    def get(self) -> T:
        """Return the value; raise BadReadingError while the quality is BAD."""
        return self._good(self._signal.get())

    def peek(self) -> T:
        """Return the value without depending on it; raise BadReadingError while it is BAD."""
        return self._good(self._signal.peek())

    def peek_sample(self) -> Sample[T]:
        """Return value, quality, time and reason without depending on them."""
        return self._signal.peek()

    @property
    def measured_ns(self) -> int:
        """Wall time in nanoseconds of the latest measurement, changed or not; 0 before any."""
        return self._measured_ns

    @property
    def measured_at_ns(self) -> int | None:
        """When the latest measurement was, on the monotonic time; None before any."""
        return self._measured_at_ns

    @property
    def stale_s(self) -> float | None:
        """How many seconds after its latest measurement it is BAD; None is no limit of its own."""
        return self._stale_s

    @stale_s.setter
    def stale_s(self, seconds: float | None) -> None:
        self._stale_s = check_stale(self.label, seconds)
        self._look_again()

    @property
    def filters(self) -> tuple[Filter, ...]:
        """What is reported goes through these, in this order. Setting them begins anew.

        Raises ConfigError for a filter that is not for a reading of this type.
        """
        return self._filters

    @filters.setter
    def filters(self, filters: Sequence[Filter]) -> None:
        from edgekernel.core.filter import Chain, check_filters  # few readings have some

        checked = check_filters(self.label, filters, self.values.type)
        with self._lock:
            self._filters = checked
            self._chain = Chain(checked) if checked else None
            self._set_timer()

    def update(self, value: T, quality: Quality = Quality.GOOD, reason: str = "") -> None:
        """Report a measurement; one outside the declared range is BAD and says so.

        A driver or chip that has doubts says so: with a `quality` other than GOOD goes a
        `reason`. Raises ValueError for one without the other.
        """
        if (quality is Quality.GOOD) is not (reason == ""):
            raise ValueError(f"{self.label}: a reason goes with UNCERTAIN and BAD, and only there")
        sample = Sample(value, quality, self._now_ns(), reason)
        with batch(), self._lock:  # what depends on it runs after the lock is released
            self._measured_ns = sample.time_ns
            self._measured_at_ns = self._monotonic_ns()
            self._take(sample)

    def fail(self, reason: str) -> None:
        """Report that there is no trustworthy value; the last one stays visible in `sample`."""
        with batch(), self._lock:
            self._spoil(reason)

    def expire(self, until_ns: int, reason: str) -> bool:
        """Fail if nothing was measured after a monotonic time; say whether that is a change."""
        with batch(), self._lock:
            at_ns, known = self._measured_at_ns, self._signal.peek().quality
            if at_ns is None or at_ns > until_ns:
                return False
            if known is Quality.BAD:
                self._forget_held()
                return False
            self._spoil(reason)
            return True

    def follow_time(self, timers: Timers | None, look_again: Callable[[], object]) -> None:
        """Use these timers for filters, or none any more; begin anew with both.

        `look_again` is called when its stale limit has changed.
        """
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None if timers is None else timers.timer(self._wake)
            self._look_again = look_again
            self._measured_at_ns = None
            if self._chain is not None:
                self._chain.reset()

    def _forget_held(self) -> None:
        """Let no filter come out with what it holds back: that is stale as well."""
        if self._chain is not None and self._chain.due_ns is not None:
            self._chain.reset()
            self._set_timer()

    def _spoil(self, reason: str) -> None:
        last = self._signal.peek().value
        self._take(Sample(last, Quality.BAD, self._now_ns(), reason))

    def _take(self, sample: Sample[T]) -> None:
        """Let a sample go through the filters; under the lock."""
        if self._chain is None:
            self._tell(self._judged(sample))
            return
        if sample.quality is not Quality.BAD and not self.values.is_usable(sample.value):
            sample = self._refused(sample)  # no filter could do anything with it
        self._let_out(self._chain.take(sample, self._monotonic_ns()))

    def _wake(self) -> None:
        """Let out what a filter has held back until now."""
        with batch(), self._lock:
            if self._chain is not None:
                self._let_out(self._chain.wake(self._monotonic_ns()))

    def _let_out(self, samples: Sequence[Sample[T]]) -> None:
        for sample in samples:
            value = sample.value
            if self.values.type is int and isinstance(value, float) and math.isfinite(value):
                whole = cast(T, round(value))  # a filter has calculated
                sample = Sample(whole, sample.quality, sample.time_ns, sample.reason)
            self._tell(self._judged(sample))
        self._set_timer()

    def _tell(self, sample: Sample[T]) -> None:
        before = self._signal.peek()
        if sample.quality is Quality.BAD and (
            before.quality is not Quality.BAD or before.reason == NO_VALUE_YET
        ):
            self._spell += 1
        self._signal.set(sample)

    def _set_timer(self) -> None:
        if self._timer is None:
            return
        due_ns = None if self._chain is None else self._chain.due_ns
        if due_ns is None:
            self._timer.cancel()
        else:
            self._timer.set(due_ns)

    def _judged(self, sample: Sample[T]) -> Sample[T]:
        """Return a sample as it may be told: BAD if its value is not allowed."""
        if sample.quality is Quality.BAD or self.values.contains(cast(T, sample.value)):
            return sample
        return self._refused(sample)

    def _refused(self, sample: Sample[T]) -> Sample[T]:
        reason = f"{sample.value!r} is not {self.values.allowed}"
        return Sample(sample.value, Quality.BAD, sample.time_ns, reason)

    def _good(self, sample: Sample[T]) -> T:
        if sample.quality is Quality.BAD:
            raise BadReadingError(self.label, sample.reason, self._spell)
        return cast(T, sample.value)

    def __repr__(self) -> str:
        return f"<Reading {self.label} = {self._signal.peek()}>"


def check_stale(label: str, seconds: float | None) -> float | None:
    """Return a stale limit in seconds, or None for none, which may be written as 0.

    Raises ConfigError for what is no number from 0 on.
    """
    if seconds is not None and not 0 <= seconds < math.inf:
        raise ConfigError(
            f"{label}: stale_s is {seconds!r}; it is in seconds, and 0 or None is none"
        )
    return seconds or None


class ReadingDeclaration(Generic[T]):
    """A class attribute of a Device: each instance has its own Reading of that name."""

    def __init__(
        self,
        values: ValueType[T],
        stale_s: float | None = None,
        filters: Sequence[Filter] = (),
    ) -> None:
        self.values = values
        self.stale_s = check_stale("reading", stale_s)
        self.filters = filters
        self.name = ""
        if filters:
            from edgekernel.core.filter import check_filters

            self.filters = check_filters("reading", filters, values.type)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, device: None, owner: type) -> ReadingDeclaration[T]: ...
    @overload
    def __get__(self, device: Device, owner: type) -> Reading[T]: ...
    def __get__(self, device: Any, owner: type) -> Any:
        if device is None:
            return self
        made = Reading(f"{device.id}.{self.name}", self.values, device.now_ns, device.monotonic_ns)
        made.stale_s = self.stale_s
        if self.filters:
            made.filters = self.filters
        return device.__dict__.setdefault(self.name, made)


@dataclass(frozen=True, slots=True)
class ReadingSettings:
    """What a node file says of a reading that the driver does not declare itself.

    A driver has a parameter `readings: dict[str, ReadingSettings]` and gives each of them to
    `Device.add_reading`. The fields are those of `reading`.
    """

    # For pydantic, which makes it of a table: a list is a range, and unknown keys are mistakes.
    __pydantic_config__: ClassVar[dict[str, object]] = {"strict": False, "extra": "forbid"}

    unit: str = ""
    range: tuple[float, float] | None = None
    precision: int | None = None
    device_class: str = ""
    counts_up: bool = False


def reading(
    type: type[T],
    *,
    unit: str = "",
    range: tuple[float, float] | None = None,
    precision: int | None = None,
    device_class: str = "",
    counts_up: bool = False,
    stale_s: float | None = None,
    filters: Sequence[Filter] = (),
) -> ReadingDeclaration[T]:
    """Declare a reading of a Device class.

    `type` is bool, int, float or str; `range` the inclusive limits in `unit`; `precision` the
    decimals worth showing; `device_class` what is measured, in Home Assistant's words; `counts_up`
    says that it is a meter's, which only falls where it begins anew. It is BAD `stale_s` seconds
    after its latest measurement; 0 or None is no limit of its own. What the driver reports goes
    through `filters` (see `edgekernel.filters`), and the range is that of what comes out. Both can
    be set for an instance, in code and in the node file.

    Raises ConfigError for a limit below 0 and for filters that are not for this type.
    """
    values = ValueType(type, unit, range, precision, device_class, counts_up)
    return ReadingDeclaration(values, stale_s, filters)
