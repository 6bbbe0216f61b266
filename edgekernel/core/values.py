"""Value types of readings and outputs: what is allowed, and how text from outside becomes it."""

from __future__ import annotations

import math
from typing import Any, Generic, TypeVar, cast

from edgekernel.core.errors import ConfigError, InvalidValueError
from edgekernel.core.record import dataclass

T = TypeVar("T", bound=bool | int | float | str)

_WORDS = {"on": True, "off": False, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class ValueType(Generic[T]):
    """A type with its unit, its inclusive range, the decimals worth showing, and what is measured
    or driven, in Home Assistant's words. A number that `counts_up` only falls where it begins anew.

    Raises ConfigError for another type than bool, int, float and str, and for an empty range.
    """

    type: type[T]
    unit: str = ""
    range: tuple[float, float] | None = None
    precision: int | None = None
    device_class: str = ""
    counts_up: bool = False

    def __post_init__(self) -> None:
        if self.type not in (bool, int, float, str):
            raise ConfigError(f"a value is a bool, int, float or str, not {self.type!r}")
        if self.range is not None and not self.range[0] <= self.range[1]:
            raise ConfigError(f"the range {self.range} has no value; write (lowest, highest)")

    def parse(self, raw: object) -> T:
        """Turn a value from outside into the type.

        A switch takes true/false, "on"/"off" in any case, and 1/0; an integer also 5.0.
        Raises InvalidValueError that says what is allowed.
        """
        value = self._convert(raw)
        if value is None or not self.contains(value):
            raise InvalidValueError(f"{raw!r} is not allowed: {self.allowed}")
        return value

    def contains(self, value: T) -> bool:
        """Say whether the value is of the type and inside the range, and finite."""
        if not self._is_of_type(value):
            return False
        if not isinstance(value, int | float):
            return True
        if self.range is None:
            return math.isfinite(value)
        low, high = self.range
        return low <= value <= high

    def is_usable(self, value: object) -> bool:
        """Say whether the value is of the type, and finite, whatever the range."""
        return self._is_of_type(value) and not (
            isinstance(value, float) and not math.isfinite(value)
        )

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        words = {bool: "on or off", int: "an integer", float: "a number", str: "a text"}
        limits = f" from {self.range[0]:g} to {self.range[1]:g}" if self.range else ""
        return f"{words[self.type]}{limits}{' ' + self.unit if limits and self.unit else ''}"

    def _is_of_type(self, value: object) -> bool:
        if isinstance(value, bool):
            return self.type is bool
        return isinstance(value, int | float if self.type is float else self.type)

    def _convert(self, raw: object) -> T | None:
        if self.type is bool:
            return cast("T | None", _switch(raw))
        if self.type is str:
            return cast("T | None", raw if isinstance(raw, str) else None)
        number = _number(raw)
        if number is None or (self.type is int and number != int(number)):
            return None
        return self.type(number)


def _switch(raw: Any) -> bool | None:
    if isinstance(raw, str):
        return _WORDS.get(raw.lower())
    return bool(raw) if isinstance(raw, bool | int) and raw in (0, 1) else None


def _number(raw: Any) -> float | None:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    try:
        return raw if math.isfinite(raw) else None
    except OverflowError:  # an integer that no float can hold
        return None
