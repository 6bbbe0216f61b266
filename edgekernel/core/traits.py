"""Traits: what a component is, worked out from what it declares, on four levels.

Level 0 is what every component is, level 1 comes from what it requires, level 2 from its
markers, level 3 from its properties and metadata. `runtime.status()` lists them.
"""

from __future__ import annotations

from collections.abc import Callable

from edgekernel.core.component import Meta
from edgekernel.core.provider import contract_name
from edgekernel.core.record import dataclass

_EVERY = ("identifiable", "lifecycle", "dependable", "registrable", "inspectable", "factoryable")


@dataclass(frozen=True, slots=True)
class Trait:
    """A named capability with the test that says whether a component has it."""

    name: str
    level: int
    description: str
    holds: Callable[[Meta], bool]


class TraitRegistry:
    """The traits that are known, each under a unique name."""

    def __init__(self, *traits: Trait) -> None:
        self._traits: dict[str, Trait] = {}
        for trait in traits:
            self.define(trait)

    def define(self, trait: Trait) -> None:
        """Add a trait; raises ValueError for a name that is taken or a level other than 0-3."""
        if trait.name in self._traits:
            raise ValueError(f"trait {trait.name!r} is defined already")
        if trait.level not in range(4):
            raise ValueError(f"trait {trait.name!r}: level {trait.level} is not 0, 1, 2 or 3")
        self._traits[trait.name] = trait

    def get(self, name: str) -> Trait:
        """Return a trait; raises KeyError for an unknown one."""
        return self._traits[name]

    def by_level(self, level: int) -> list[Trait]:
        """Return the traits of a level, in the order of definition."""
        return [trait for trait in self._traits.values() if trait.level == level]

    def all(self) -> list[Trait]:
        """Return every trait, in the order of definition."""
        return list(self._traits.values())

    def compute(self, meta: Meta) -> list[str]:
        """Return the names of the traits that a component has."""
        return [trait.name for trait in self._traits.values() if trait.holds(meta)]

    def __contains__(self, name: object) -> bool:
        return name in self._traits

    def __len__(self) -> int:
        return len(self._traits)


def _requires(*contracts: str) -> Callable[[Meta], bool]:
    """Return a test for a requirement of one of these, with or without a leading I."""
    wanted = {*contracts, *(f"I{name}" for name in contracts)}
    return lambda meta: any(contract_name(each.contract) in wanted for each in meta.requirements)


def standard_traits() -> TraitRegistry:
    """Return a registry with the traits of the four levels."""
    return TraitRegistry(
        *(Trait(name, 0, "every component is", lambda meta: True) for name in _EVERY),
        Trait("observable", 1, "logs or traces", _requires("Logger", "Tracer")),
        Trait("configurable", 1, "reads configuration", _requires("Config", "ConfigAdmin")),
        Trait("secured", 1, "uses credentials", _requires("Auth", "Credentials")),
        Trait("storable", 1, "keeps data", _requires("Storage", "Workspace", "StateStore")),
        Trait("communicable", 1, "uses other components", lambda meta: bool(meta.requirements)),
        Trait("runnable", 2, "has commands", lambda meta: bool(meta.commands)),
        Trait("subscribable", 2, "handles messages", lambda meta: bool(meta.handlers)),
        Trait("kinded", 2, "brings data schemas", lambda meta: bool(meta.kinds)),
        Trait("skillful", 2, "brings knowledge", lambda meta: bool(meta.skills)),
        Trait("routable", 2, "names its surfaces", lambda meta: bool(meta.exposures)),
        Trait(
            "reactive",
            2,
            "has computeds or effects",
            lambda meta: bool(meta.computeds or meta.effects),
        ),
        Trait(
            "adaptable",
            2,
            "works with what is there",
            lambda meta: any(each.optional for each in meta.requirements),
        ),
        Trait(
            "targeted",
            3,
            "is found by a target",
            lambda meta: any(each.key == "target" for each in meta.properties),
        ),
        Trait(
            "scoped",
            3,
            "gives each consumer its own",
            lambda meta: bool(meta.namespace or meta.factory),
        ),
        Trait("versioned", 3, "states its version", lambda meta: meta.version != "0.0.0"),
    )
