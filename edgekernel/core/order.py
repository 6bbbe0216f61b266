"""The order of starting: from what the parts require of one another, and name as `depends`."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from edgekernel.core.errors import ConfigError, nearest
from edgekernel.core.injection import Requirement
from edgekernel.core.registry import refuse_ambiguous

if TYPE_CHECKING:
    from edgekernel.core.unit import Unit


def dependency_order(units: Sequence[Unit]) -> tuple[list[Unit], list[Exception]]:
    """Return the units in the order of starting, and everything that is wrong with them.

    What a unit requires starts before it; beside that devices come first, then components,
    processes, interfaces and services, each in the order of adding. What it could do without
    comes before it too, as long as that leads to no circle.
    """
    order, _, failures = _resolved(units)
    return order, failures


def stopping_groups(units: Sequence[Unit]) -> list[list[Unit]]:
    """Return units in groups that are stopped one after the other, hot changes included.

    What needs something is in a group before it, and what was spawned before its parent, if that
    is of its kind; beside that services come first, then interfaces, processes, components and
    devices. Nothing in a group needs another one in it; what started last comes first.
    """
    order, needs, _ = _resolved(units)
    if len(order) < len(units):  # a circle: since what stands has changed
        return [[unit] for unit in reversed(units)]
    named = {unit.name: unit for unit in units}
    ranks = {unit: (-unit.kind.value, 0) for unit in units}
    groups: dict[tuple[int, int], list[Unit]] = {}
    for unit in reversed(order):
        kind, level = ranks[unit]
        groups.setdefault((kind, level), []).append(unit)
        parent = named.get(unit.parent)
        last = [parent] if parent is not None and parent.kind is unit.kind else []
        for each in (*needs[unit], *last):
            ranks[each] = max(ranks[each], (kind, level + 1))
    return [groups[rank] for rank in sorted(groups)]


def _resolved(
    units: Sequence[Unit],
) -> tuple[list[Unit], dict[Unit, list[Unit]], list[Exception]]:
    """Return the order of starting, what each has to come after, and everything that is wrong."""
    failures: list[Exception] = []
    needs: dict[Unit, list[Unit]] = {}
    edges: dict[Unit, list[Unit]] = {}
    for unit in units:
        needs[unit], wrong = needs_of(unit, units)
        failures += wrong
        wishes = [
            each for requirement in unit.requirements for each in fitting(requirement, unit, units)
        ]
        edges[unit] = list(dict.fromkeys([*needs[unit], *wishes]))
    while True:
        order = _sorted(units, edges)
        if len(order) == len(units):
            return order, edges, failures
        circle = _circle({unit: edges[unit] for unit in units if unit not in order})
        wish = next((pair for pair in pairwise(circle) if pair[1] not in needs[pair[0]]), None)
        if wish is None:
            names = " -> ".join(unit.name for unit in circle)
            failures.append(ConfigError(f"parts need one another: {names}"))
            return order, edges, failures
        edges[wish[0]].remove(wish[1])


def fitting(requirement: Requirement, unit: Unit, units: Sequence[Unit]) -> list[Unit]:
    """Return the other units that provide what a unit requires, the best first."""
    found = [each for each in units if each is not unit and requirement.fits(each.provider)]
    return sorted(found, key=lambda each: (each.provider.ranking, each.provider.number))


def needs_of(unit: Unit, units: Sequence[Unit]) -> tuple[list[Unit], list[Exception]]:
    """Return the units that one cannot do without: of several that fit, the best one."""
    needed: list[Unit] = []
    failures: list[Exception] = []
    names = {other.name: other for other in units}
    for name in unit.depends:
        if name in names:
            needed.append(names[name])
        else:
            wrong = f"{unit.name}: depends on {name!r}, which is not there"
            failures.append(ConfigError(wrong + nearest(name, list(names))))
    for each in unit.requirements:
        found = fitting(each, unit, units)
        try:
            refuse_ambiguous(each.contract, [other.provider for other in found])
            by_hand = unit.available(each)
        except ConfigError as error:
            failures.append(ConfigError(f"{unit.name}.{each.name}: {error}"))
            continue
        if each.optional or (not found and (unit.optional or by_hand)):
            continue
        problem = _problem(found)
        if problem and not found:
            problem += _meant(each, units)
        if problem:
            failures.append(ConfigError(f"{unit.name}.{each.name}: requires a {each}, {problem}"))
        needed += found[:1]
    return needed, failures


def _meant(wanted: Requirement, units: Sequence[Unit]) -> str:
    """Return which device of the kind that is required was probably meant, if there is any."""
    fit = [u.name for u in units if u.is_device and u.provider.fits(wanted.contract, {})]
    id = wanted.where.get("id")
    return nearest(id, fit) if isinstance(id, str) and fit else ""


def _problem(found: Sequence[Unit]) -> str:
    """Say why a requirement of one cannot be met, or nothing.

    Of components the lowest ranking is taken, then the one added first. Hardware is not chosen
    by chance: two devices that fit equally well are a mistake.
    """
    if not found:
        return "but there is none"
    best = found[0].provider.ranking
    devices = [unit for unit in found if unit.is_device and unit.provider.ranking == best]
    if len(devices) > 1:
        return f"but several fit: {', '.join(unit.name for unit in devices)}"
    return ""


def _sorted(units: Sequence[Unit], needs: dict[Unit, list[Unit]]) -> list[Unit]:
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


def _circle(needs: dict[Unit, list[Unit]]) -> list[Unit]:
    """Return the units along one circle; the first is also the last."""
    walked = [next(iter(needs))]
    while True:
        following = next(unit for unit in needs[walked[-1]] if unit in needs)
        if following in walked:
            return [*walked[walked.index(following) :], following]
        walked.append(following)
