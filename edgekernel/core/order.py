"""The order of starting: from what the parts require of one another, and name as `depends`."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from edgekernel.core.commands import nearest
from edgekernel.core.errors import ConfigError
from edgekernel.core.injection import Requirement

if TYPE_CHECKING:
    from edgekernel.core.unit import Unit


def dependency_order(units: Sequence[Unit]) -> tuple[list[Unit], list[Exception]]:
    """Return the units in the order of starting, and everything that is wrong with them.

    What a unit requires starts before it; beside that devices come first, then components,
    processes, interfaces and services, each in the order of adding. A wish that cannot be met
    (an optional requirement in a circle) is left out.
    """
    failures: list[Exception] = []
    needs: dict[Unit, set[Unit]] = {}
    wishes: dict[Unit, set[Unit]] = {}
    for unit in units:
        needs[unit], wrong = needs_of(unit, units)
        failures += wrong
        wishes[unit] = {
            other
            for each in unit.requirements
            if each.optional
            for other in units
            if other is not unit and each.fits(other.provider)
        }
    everything = {unit: needs[unit] | wishes[unit] for unit in units}
    order = _sorted(units, everything)
    if len(order) < len(units):
        order = _sorted(units, needs)
    if len(order) < len(units):
        circle = _circle({unit: needs[unit] for unit in units if unit not in order})
        failures.append(ConfigError(f"parts need one another: {' -> '.join(circle)}"))
    return order, failures


def needs_of(unit: Unit, units: Sequence[Unit]) -> tuple[set[Unit], list[Exception]]:
    """Return the units that one cannot do without."""
    needed: set[Unit] = set()
    failures: list[Exception] = []
    names = {other.name: other for other in units}
    for name in unit.depends:
        if name in names:
            needed.add(names[name])
        else:
            failures.append(
                ConfigError(f"{unit.name}: depends on {name!r}, which is not there"
                            f"{nearest(name, list(names))}")
            )  # fmt: skip
    for each in unit.requirements:
        if each.optional or unit.external(each):
            continue
        found = [other for other in units if other is not unit and each.fits(other.provider)]
        problem = _problem(each, found)
        if problem and not (unit.optional and not found):
            failures.append(ConfigError(f"{unit.name}.{each.name}: requires a {each}, {problem}"))
        # The best one comes first; which that is may depend on the others' properties.
        needed.update(found[:1] if len(found) == 1 else found)
    return needed, failures


def _problem(requirement: Requirement, found: Sequence[Unit]) -> str:
    """Say why a requirement of one cannot be met, or nothing.

    Of components the lowest ranking is taken, then the one added first. Hardware is not chosen
    by chance: two devices that fit equally well are a mistake.
    """
    if not found:
        return "but there is none"
    best = min(unit.provider.ranking for unit in found)
    devices = [unit for unit in found if unit.is_device and unit.provider.ranking == best]
    if len(devices) > 1:
        return f"but several fit: {', '.join(unit.name for unit in devices)}"
    return ""


def _sorted(units: Sequence[Unit], needs: dict[Unit, set[Unit]]) -> list[Unit]:
    """Return the units so that each comes after its needs; those in circles are left out."""
    behind: dict[Unit, list[Unit]] = {}
    missing = {unit: len(needs[unit]) for unit in units}
    for unit in units:
        for need in needs[unit]:
            behind.setdefault(need, []).append(unit)
    place = {unit: (unit.kind, number) for number, unit in enumerate(units)}
    ready = [(*place[unit], unit) for unit in units if not missing[unit]]
    heapq.heapify(ready)
    order: list[Unit] = []
    while ready:
        unit = heapq.heappop(ready)[-1]
        order.append(unit)
        for other in behind.get(unit, ()):
            missing[other] -= 1
            if not missing[other]:
                heapq.heappush(ready, (*place[other], other))
    return order


def _circle(needs: dict[Unit, Collection[Unit]]) -> list[str]:
    """Return the names along one circle."""
    walked = [next(iter(needs))]
    while True:
        following = next(unit for unit in needs[walked[-1]] if unit in needs)
        if following in walked:
            return [unit.name for unit in (*walked[walked.index(following) :], following)]
        walked.append(following)
