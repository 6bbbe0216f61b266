"""Faults of sensors: what a chip measures is not what is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any

from annotated_types import Gt, Le

from edgekernel.core.errors import nearest
from edgekernel.sim.faults.fault import End, FaultKind, end_all
from edgekernel.sim.faults.site import Site
from edgekernel.sim.faults.wear import wear_of
from edgekernel.sim.places import quantities

Number = float | int


class _OfQuantity(FaultKind):
    """A fault of numbers that a chip measures; `quantity` says which, if there are several."""

    on = ("device",)
    quantity: str | None

    def misfit(self, site: Site) -> str:
        """Say that there is no such number."""
        known = _numbers(site)
        if not known:
            return f"{site.name} measures nothing: it has no simulated chip with quantities"
        if self.quantity is None:
            return "" if len(known) == 1 else f"name its quantity: {', '.join(sorted(known))}"
        if self.quantity not in known:
            return f"{site.name} has no quantity {self.quantity!r}{nearest(self.quantity, known)}"
        return ""

    def _alter(self, site: Site, alter: Callable[[Number], Number]) -> End:
        """Alter the quantity while it is a number; a whole one stays whole."""
        name = self.quantity or _numbers(site)[0]

        def altered(value: Any) -> Any:
            if not isinstance(value, int | float):
                return value
            found = alter(value)
            return round(found) if isinstance(value, int) else found

        return wear_of(site.part).add(name, altered)


@dataclass(frozen=True)
class Frozen(_OfQuantity):
    """It stays what it was when the fault began; without `quantity`, all that the chip measures."""

    word = "frozen"
    quantity: str | None = None

    def misfit(self, site: Site) -> str:
        """Say that there is no such number; all is all right."""
        return super().misfit(site) if self.quantity or not _numbers(site) else ""

    def begin(self, site: Site, random: Random) -> End:
        """Keep what is."""
        names = _numbers(site) if self.quantity is None else [self.quantity]
        return end_all(self._freeze(site.part, name) for name in names)

    @staticmethod
    def _freeze(part: Any, name: str) -> End:
        frozen = getattr(part, name)
        return wear_of(part).add(name, lambda _: frozen)


@dataclass(frozen=True)
class Drift(_OfQuantity):
    """It moves away from the truth by `per_hour`, from when the fault began."""

    word = "drift"
    per_hour: float
    quantity: str | None = None

    def begin(self, site: Site, random: Random) -> End:
        """Drift from now on."""
        clock = site.bench.clock
        begun_s = clock.monotonic()
        return self._alter(
            site, lambda value: value + self.per_hour * (clock.monotonic() - begun_s) / 3600
        )


@dataclass(frozen=True)
class Offset(_OfQuantity):
    """It is off by `by`."""

    word = "offset"
    by: float
    quantity: str | None = None

    def begin(self, site: Site, random: Random) -> End:
        """Be off from now on."""
        return self._alter(site, lambda value: value + self.by)


@dataclass(frozen=True)
class Spike(_OfQuantity):
    """Single measurements are off by `by`: a `share` of them, by chance."""

    word = "spike"
    by: float
    share: Annotated[float, Gt(0), Le(1)] = 0.1
    quantity: str | None = None

    def begin(self, site: Site, random: Random) -> End:
        """Let chance decide from now on."""
        hit = _once_per_moment(site, lambda: random.random() < self.share)
        return self._alter(site, lambda value: value + self.by if hit() else value)


@dataclass(frozen=True)
class Noise(_OfQuantity):
    """Measurements scatter around the truth, normally distributed with a `deviation`."""

    word = "noise"
    deviation: Annotated[float, Gt(0)]
    quantity: str | None = None

    def begin(self, site: Site, random: Random) -> End:
        """Scatter from now on."""
        off_by = _once_per_moment(site, lambda: random.gauss(0, self.deviation))
        return self._alter(site, lambda value: value + off_by())


@dataclass(frozen=True)
class Set(FaultKind):
    """A quantity of a chip, a far end or a world is `to` whatever the world says: a sensor at its
    stop, a receiver without a fix (`fix`, false), a door that is jammed (`jammed`, true)."""

    word = "set"
    on = ("device", "world")
    quantity: str
    to: bool | float

    def misfit(self, site: Site) -> str:
        """Say that there is no such quantity, or that it is of another type."""
        if site.part is None:
            return f"{site.name} has no simulated chip"
        known = {n: v for n, v in quantities(site.part).items() if isinstance(v, int | float)}
        if self.quantity not in known:
            return f"{site.name} has no quantity {self.quantity!r}{nearest(self.quantity, known)}"
        if isinstance(known[self.quantity], bool) is not isinstance(self.to, bool):
            wanted = "true or false" if isinstance(known[self.quantity], bool) else "a number"
            return f"{self.quantity} of {site.name} is {wanted}"
        return ""

    def begin(self, site: Site, random: Random) -> End:
        """Set it from now on."""
        value = self.to
        if type(getattr(site.part, self.quantity)) is int:
            value = round(value)
        return wear_of(site.part).add(self.quantity, lambda _: value)


def _numbers(site: Site) -> list[str]:
    if site.part is None:
        return []
    found = quantities(site.part).items()
    return [name for name, value in found if type(value) in (int, float)]


def _once_per_moment(site: Site, draw: Callable[[], Any]) -> Callable[[], Any]:
    """Return what draws once at each moment: a measurement may look at a quantity twice."""
    drawn: dict[int, Any] = {}

    def look() -> Any:
        now_ns = site.bench.clock.monotonic_ns()
        if now_ns not in drawn:
            drawn.clear()
            drawn[now_ns] = draw()
        return drawn[now_ns]

    return look
