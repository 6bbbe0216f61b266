"""A provider: one service that a component, or somebody by hand, offers to others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, cast

from edgekernel.core.errors import ConfigError
from edgekernel.core.graph import untracked
from edgekernel.core.markers import Contract
from edgekernel.core.record import dataclass
from edgekernel.core.signals import Signal, batch

RANKING = "service.ranking"
"""The property that decides among several providers: the lowest wins; 0 unless given."""

_numbers = count()


def contract_name(contract: Contract) -> str:
    """Return what a contract is called in errors."""
    return contract if isinstance(contract, str) else contract.__name__


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who is given a service: a component instance by its name, and what component it is."""

    name: str
    component: str = ""
    """The qualified name of the component class, which its instances share."""


class Provider:
    """One provided service. `properties` may be changed at any time with `set_properties`."""

    def __init__(
        self,
        name: str,
        instance: object,
        contracts: tuple[Contract, ...],
        *,
        properties: Mapping[str, object] | None = None,
        declared: Mapping[str, Signal[Any]] | None = None,
        factory: Callable[[Consumer], object] | None = None,
    ) -> None:
        """Describe what `instance` provides beside its own class and that class's bases.

        `declared` are the properties that the instance itself holds, each as a signal; with
        `factory` each consumer is given what that makes for it.
        """
        self.name = name
        self.instance = instance
        self.contracts = contracts
        self.number = next(_numbers)  # of registration: breaks ties
        self._declared = dict(declared or {})
        self._others: Mapping[str, object] = {}
        self._changed = Signal(0, equals=False, name=name)
        self._factory = factory
        self._lock = threading.Lock()
        self._made: dict[str, object] = {}
        self.set_properties(**(properties or {}))

    @property
    def properties(self) -> dict[str, object]:
        """The properties now, among them `id`, its name."""
        self._changed.get()
        declared = {key: signal.get() for key, signal in self._declared.items()}
        return {**self._others, **declared, "id": self.name}

    @property
    def ranking(self) -> float:
        """The lowest of those that fit is given to who wants one."""
        return cast("float", self.properties.get(RANKING, 0))

    def set_properties(self, **changes: object) -> None:
        """Change properties, in one change; who has chosen by them chooses again.

        Raises ConfigError for `id`, which is the name, and for a ranking that is no number.
        """
        for key, value in changes.items():
            check_property(self.name, key, value)
        others = {key: changes[key] for key in changes if key not in self._declared}
        with batch():
            for key in changes.keys() - others.keys():
                self._declared[key].set(changes[key])
            if others:
                with self._lock:
                    self._others = {**self._others, **others}
                self._changed.set(0)

    def fulfils(self, contract: Contract) -> bool:
        """Say whether it provides a contract: a class by itself or a base, a name as given."""
        if isinstance(contract, str):
            return contract in map(contract_name, self.contracts)
        return contract in self.contracts or contract in type(self.instance).__mro__

    def fits(self, contract: Contract, where: Mapping[str, object]) -> bool:
        """Say whether it provides a contract and has these properties."""
        return self.fulfils(contract) and self.has(where)

    def has(self, where: Mapping[str, object]) -> bool:
        """Say whether it has these properties."""
        if not where:
            return True
        if where.get("id", self.name) != self.name:
            return False  # without a look at the others: they change, its name does not
        properties = self.properties
        return all(key in properties and properties[key] == where[key] for key in where)

    def given_to(self, consumer: Consumer | None) -> Any:
        """Return what a consumer is given: the instance, or what its factory makes, once.

        Two threads that ask for the first time at once may have two made; both are given one.
        """
        if self._factory is None:
            return self.instance
        if consumer is None:
            raise ConfigError(
                f"{self.name}: what it provides is made for each consumer: say consumer="
            )
        made = self._made  # this one: if all are forgotten meanwhile, nothing stays
        if consumer.name not in made:
            with untracked():
                new = self._factory(consumer)
            self._check(new)
            return made.setdefault(consumer.name, new)
        return made[consumer.name]

    def forget(self, consumer: str) -> None:
        """Drop what was made for a consumer that has gone."""
        self._made.pop(consumer, None)

    def forget_all(self) -> None:
        """Drop what was made: whoever asks again is given a new one."""
        self._made = {}

    def check(self) -> None:
        """Raise ConfigError if it lacks something of a Protocol that it provides.

        With a factory it is what that makes that has to have it.
        """
        if self._factory is None:
            self._check(self.instance)

    def _check(self, service: object) -> None:
        for contract in self.contracts:
            lacking = [
                member
                for member in sorted(_members(contract))
                if not hasattr(type(service), member) and not hasattr(service, member)
            ]
            if lacking:
                raise ConfigError(
                    f"{self.name}: {type(service).__name__} provides {contract_name(contract)} "
                    f"but has no {', '.join(lacking)}"
                )

    def __repr__(self) -> str:
        return f"<Provider {self.name} of {', '.join(map(contract_name, self.contracts))}>"


def check_property(name: str, key: str, value: object) -> None:
    """Raise ConfigError for a property that `name` cannot have."""
    if key == "id":
        raise ConfigError(f"{name}: the property 'id' is its name; leave it out")
    if key == RANKING and (not isinstance(value, int | float) or value != value):
        raise ConfigError(f"{name}: {RANKING} is {value!r}; it must be a number, the lowest wins")


def _members(contract: Contract) -> set[str]:
    """Return what a Protocol asks for; nothing for other contracts."""
    if isinstance(contract, str) or not getattr(contract, "_is_protocol", False):
        return set()
    own = [base for base in contract.__mro__ if getattr(base, "_is_protocol", False)]
    named = {n for base in own for n in (*vars(base), *vars(base).get("__annotations__", {}))}
    return {name for name in named if not name.startswith("_")}
