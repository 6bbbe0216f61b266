"""Readings: a device's read-only signals, each value with its quality."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast, overload

from edgekernel.core.errors import BadReadingError
from edgekernel.core.record import dataclass
from edgekernel.core.sample import Quality, Sample
from edgekernel.core.signals import Signal
from edgekernel.core.values import ValueType

if TYPE_CHECKING:
    from edgekernel.core.device import Device

T = TypeVar("T", bound=bool | int | float | str)


class Reading(Generic[T]):
    """What a device reports. Reading it inside a computed or effect makes that depend on it.

    It changes when its value, quality or reason changes; measuring the same again only renews
    its time.
    """

    def __init__(self, label: str, values: ValueType[T], now_ns: Callable[[], int]) -> None:
        """Make a reading that has no value yet; `label` names it in errors."""
        self.label = label
        self.values = values
        self._now_ns = now_ns
        self._signal: Signal[Sample[T]] = Signal(
            Sample(None, Quality.BAD, now_ns(), "no value yet"),
            equals=Sample.says_the_same,
            name=label,
        )
        self._measured_ns = 0

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

    def update(self, value: T) -> None:
        """Report a measurement; one outside the declared range is BAD and says so."""
        if self.values.contains(value):
            self._store(Sample(value, Quality.GOOD, self._now_ns()))
        else:
            reason = f"{value!r} is not {self.values.allowed}"
            self._store(Sample(value, Quality.BAD, self._now_ns(), reason))

    def fail(self, reason: str) -> None:
        """Report that there is no trustworthy value; the last one stays visible in `sample`."""
        last = self._signal.peek().value
        self._signal.set(Sample(last, Quality.BAD, self._now_ns(), reason))

    def _store(self, sample: Sample[T]) -> None:
        self._measured_ns = sample.time_ns
        self._signal.set(sample)

    def _good(self, sample: Sample[T]) -> T:
        if sample.quality is Quality.BAD:
            raise BadReadingError(f"{self.label}: {sample.reason}")
        return cast(T, sample.value)

    def __repr__(self) -> str:
        return f"<Reading {self.label} = {self._signal.peek()}>"


class ReadingDeclaration(Generic[T]):
    """A class attribute of a Device: each instance has its own Reading of that name."""

    def __init__(self, values: ValueType[T], device_class: str) -> None:
        self.values = values
        self.device_class = device_class
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, device: None, owner: type) -> ReadingDeclaration[T]: ...
    @overload
    def __get__(self, device: Device, owner: type) -> Reading[T]: ...
    def __get__(self, device: Any, owner: type) -> Any:
        if device is None:
            return self
        made = Reading(f"{device.id}.{self.name}", self.values, device.now_ns)
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


def reading(
    type: type[T],
    *,
    unit: str = "",
    range: tuple[float, float] | None = None,
    precision: int | None = None,
    device_class: str = "",
) -> ReadingDeclaration[T]:
    """Declare a reading of a Device class.

    `type` is bool, int, float or str; `range` the inclusive limits in `unit`; `precision` the
    decimals worth showing; `device_class` what is measured, in Home Assistant's words.
    """
    return ReadingDeclaration(ValueType(type, unit, range, precision), device_class)
