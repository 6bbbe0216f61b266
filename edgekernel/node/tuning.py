"""Tuning: what a node file says of the readings of a device, beside what the driver declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from edgekernel.core.device import Device
from edgekernel.core.errors import ConfigError
from edgekernel.core.filter import Filter
from edgekernel.core.reading import ReadingDeclaration
from edgekernel.node.filters import FilterTable
from edgekernel.node.problems import did_you_mean

_WORDS = {bool: "a switch (on or off)", int: "an integer", float: "a number", str: "a text"}


@dataclass(frozen=True, slots=True)
class ReadingTuning:
    """What is said of one reading; None is nothing."""

    filters: tuple[FilterTable, ...] | None = None
    stale_s: float | None = None


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is said of a device's readings: of all of them, and of single ones by name."""

    filters: tuple[FilterTable, ...] = ()
    stale_s: float | None = None
    readings: Mapping[str, ReadingTuning] = field(default_factory=dict)

    def check(self, driver: str, types: Mapping[str, type]) -> None:
        """Raise ConfigError with what is said of readings that are not so, or not there.

        `types` has the type of each reading of the driver. Each problem begins with the key
        behind the device.
        """
        problems = [*self._check_all(driver, types)]
        for name, own in self.readings.items():
            if name not in types:
                there = did_you_mean(name, types) if types else f"{driver} has no readings"
                problems.append(f".readings.{name}: unknown reading; {there}")
                continue
            problems += [
                f".readings.{name}.filters.{n}.{each.name}: {name} is {_WORDS[types[name]]}; "
                f"this filter is for {_fitting(each)}"
                for n, each in enumerate(own.filters or (), 1)
                if not _fits(each, types[name])
            ]
        if problems:
            raise ConfigError(*problems)

    def _check_all(self, driver: str, types: Mapping[str, type]) -> list[str]:
        if not types:
            said = {"filters": self.filters, "stale": self.stale_s}
            return [f".{key}: {driver} has no readings" for key, value in said.items() if value]
        return [
            f".filters.{n}.{each.name}: this filter is for {_fitting(each)}; {driver} has none: "
            + ", ".join(f"{name} is {_WORDS[type]}" for name, type in types.items())
            for n, each in enumerate(self.filters, 1)
            if not any(_fits(each, type) for type in types.values())
        ]

    def apply(self, device: Device) -> None:
        """Set the limits of a device's readings, and add filters to those of the driver.

        What is said of one reading takes the place of what is said of all.
        """
        for name, reading in device.readings.items():
            own = self.readings.get(name, ReadingTuning())
            wanted = self.filters if own.filters is None else own.filters
            added = [each.make() for each in wanted if _fits(each, reading.values.type)]
            if added:
                reading.filters = (*reading.filters, *added)
            stale_s = self.stale_s if own.stale_s is None else own.stale_s
            if stale_s is not None:
                reading.stale_s = stale_s


def hasty(devices: Mapping[str, Device]) -> Iterator[str]:
    """Say which readings would be stale between two polls, however well these go."""
    for id, device in devices.items():
        for name, reading in device.readings.items():
            if device.polled and reading.stale_s is not None and reading.stale_s < device.every:
                yield (
                    f"devices.{id}.readings.{name}.stale: {reading.stale_s:g} s is shorter than "
                    f"every ({device.every:g} s): it would be BAD before the next poll"
                )


def declared_types(driver: type[Device]) -> dict[str, type]:
    """Return the type of each reading that a driver's class declares, by name."""
    names = [name for base in reversed(driver.__mro__) for name in vars(base)]
    found = ((name, getattr(driver, name, None)) for name in dict.fromkeys(names))
    return {n: value.values.type for n, value in found if isinstance(value, ReadingDeclaration)}


def _fits(filter: FilterTable, type: type) -> bool:
    return type in _types(filter)


def _fitting(filter: FilterTable) -> str:
    return " or ".join(_WORDS[type].removesuffix(" (on or off)") for type in _types(filter))


def _types(filter: FilterTable) -> tuple[type, ...]:
    made: Filter = filter.make()
    return made.types
