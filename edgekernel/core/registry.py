"""The registry: who provides which contract, with which properties, and who is given it.

Every query is a tracked read: inside a computed or effect it comes again when a provider arrives
or leaves, or when a property that decides has changed. One change of the registry is one change,
however many contracts a provider fulfils.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, Protocol, TypeVar, cast

from edgekernel.core.errors import ConfigError, UnavailableError
from edgekernel.core.markers import Contract
from edgekernel.core.signals import Signal

T = TypeVar("T")

RANKING = "service.ranking"
"""The property that decides among several providers: the lowest wins; 0 unless given."""

_numbers = count()


def contract_name(contract: Contract) -> str:
    """Return what a contract is called in errors."""
    return contract if isinstance(contract, str) else contract.__name__


class Provider:
    """One provided service. `properties` may be changed at any time with `set_properties`."""

    def __init__(
        self,
        name: str,
        instance: object,
        contracts: tuple[Contract, ...],
        *,
        properties: Mapping[str, object] | None = None,
        declared: Callable[[], Mapping[str, object]] = dict,
        factory: Callable[[str], object] | None = None,
    ) -> None:
        """Describe what `instance` provides beside its own class and that class's bases.

        `declared` gives the properties that the instance itself holds; with `factory` each
        consumer is given what that makes for the consumer's name.
        """
        self.name = name
        self.instance = instance
        self.contracts = contracts
        self.number = next(_numbers)  # of registration: breaks ties
        self._declared = declared
        self._properties = Signal[Mapping[str, object]](dict(properties or {}), name=name)
        self._factory = factory
        self._lock = threading.Lock()
        self._made: dict[str, object] = {}

    @property
    def properties(self) -> dict[str, object]:
        """The properties now, among them `id`, its name."""
        return {"id": self.name, **self._properties.get(), **self._declared()}

    @property
    def ranking(self) -> float:
        """The lowest of those that fit is given to who wants one."""
        ranking = self.properties.get(RANKING, 0)
        return ranking if isinstance(ranking, int | float) else 0

    def set_properties(self, **changes: object) -> None:
        """Change properties; who has chosen by them chooses again."""
        self._properties.set({**self._properties.peek(), **changes})

    def fulfils(self, contract: Contract) -> bool:
        """Say whether it provides a contract: a class by itself or a base, a name as given."""
        if isinstance(contract, str):
            return contract in map(contract_name, self.contracts)
        return contract in self.contracts or contract in type(self.instance).__mro__

    def fits(self, contract: Contract, where: Mapping[str, object]) -> bool:
        """Say whether it provides a contract and has these properties."""
        if not self.fulfils(contract):
            return False
        if not where:
            return True
        properties = self.properties
        return all(key in properties and properties[key] == where[key] for key in where)

    def given_to(self, consumer: str) -> Any:
        """Return what a consumer is given: the instance, or what its factory makes, once."""
        if self._factory is None:
            return self.instance
        if not consumer:
            raise ConfigError(f"{self.name}: what it provides is made for each consumer: name it")
        if consumer not in self._made:
            made = self._factory(consumer)
            with self._lock:
                self._made.setdefault(consumer, made)
        return self._made[consumer]

    def forget(self, consumer: str) -> None:
        """Drop what was made for a consumer that has gone."""
        with self._lock:
            self._made.pop(consumer, None)

    def __repr__(self) -> str:
        return f"<Provider {self.name} of {', '.join(map(contract_name, self.contracts))}>"


class Injected(Protocol):
    """What a consumer was given: tells by whom."""

    def providers(self) -> list[Provider]: ...
    def choose_again(self) -> None: ...


class Registry:
    """The providers of a runtime."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # around changes; never around user code
        self._providers: tuple[Provider, ...] = ()
        self._changed = Signal(0, equals=False, name="registry")
        self._uses: tuple[tuple[str, Sequence[Injected]], ...] = ()

    def provide(
        self,
        contract: Contract | tuple[Contract, ...],
        instance: object,
        name: str,
        properties: Mapping[str, object] | None = None,
    ) -> Provider:
        """Add a provider by hand; components with `@provides` are added by the runtime."""
        contracts = contract if isinstance(contract, tuple) else (contract,)
        provider = Provider(name, instance, contracts, properties=properties)
        self.exchange(None, provider)
        return provider

    def withdraw(self, provider: Provider) -> None:
        """Take a provider out. Withdrawing twice is harmless."""
        self.exchange(provider, None)

    def exchange(self, old: Provider | None, new: Provider | None) -> None:
        """Put one provider in the place of another, in one change."""
        if new is not None:
            check_contracts(new)
        with self._lock:
            kept = tuple(each for each in self._providers if each is not old)
            if new is not None and new not in kept:
                if old is not None:
                    new.number = old.number
                kept = (*kept, new)
            self._providers = kept
        self._changed.set(0)

    def providers(
        self, contract: Contract, where: Mapping[str, object] | None = None
    ) -> list[Provider]:
        """Return the providers of a contract that have these properties, the best first."""
        self._changed.get()
        found = [each for each in self._providers if each.fits(contract, where or {})]
        if isinstance(contract, str):
            _refuse_ambiguous(contract, found)
        return sorted(found, key=lambda each: (each.ranking, each.number))

    def has(self, name: str) -> bool:
        """Say whether there is a provider of this name."""
        return any(each.name == name for each in self._providers)

    def find(self, contract: type[T] | str, consumer: str = "", **where: object) -> T | None:
        """Return the best provider's service, or None."""
        found = self.all(contract, consumer, **where)
        return found[0] if found else None

    def require(self, contract: type[T] | str, consumer: str = "", **where: object) -> T:
        """Return the best provider's service; raises UnavailableError if there is none."""
        found = self.all(contract, consumer, **where)
        if not found:
            with_what = "".join(f", {key} {value!r}" for key, value in where.items())
            raise UnavailableError(f"nobody provides {contract_name(contract)}{with_what}")
        return found[0]

    def all(self, contract: type[T] | str, consumer: str = "", **where: object) -> list[T]:
        """Return every service of a contract, the best first."""
        return [cast("T", each.given_to(consumer)) for each in self.providers(contract, where)]

    def map(self, contract: type[T] | str, key: str, consumer: str = "") -> dict[Any, T]:
        """Return the services by a property; those without it are left out, the best wins."""
        return self.by_property(self.providers(contract), key, consumer)

    @staticmethod
    def by_property(providers: list[Provider], key: str, consumer: str) -> dict[Any, Any]:
        """Return what a consumer is given by these providers, by one of their properties."""
        found: dict[Any, Any] = {}
        for each in reversed(providers):  # the best last, so that it stays
            properties = each.properties
            if key in properties:
                found[properties[key]] = each
        return {value: each.given_to(consumer) for value, each in found.items()}

    def uses(self, consumer: str, injections: Sequence[Injected]) -> None:
        """Note what a consumer was injected."""
        with self._lock:
            self._uses = (*self._uses, (consumer, injections))

    def released(self, consumer: str, injections: Sequence[Injected]) -> None:
        """Hear that a consumer has gone: what was made for it goes too."""
        with self._lock:
            self._uses = tuple(use for use in self._uses if use[1] is not injections)
            still_there = any(use[0] == consumer for use in self._uses)
        for provider in () if still_there else self._providers:
            provider.forget(consumer)

    def choose_again(self) -> None:
        """Let every consumer choose now, so that none keeps hold of a provider that has gone."""
        for _, injections in self._uses:
            for each in injections:
                each.choose_again()

    def consumers(self, name: str) -> list[str]:
        """Return who is given the service of the provider `name` now."""
        return [
            consumer
            for consumer, injections in self._uses
            if any(provider.name == name for each in injections for provider in each.providers())
        ]

    def ref_count(self, name: str) -> int:
        """Return how many consumers are given the service of the provider `name` now."""
        return len(self.consumers(name))

    def __len__(self) -> int:
        return len(self._providers)


def check_contracts(provider: Provider) -> None:
    """Raise ConfigError if the instance lacks something of a Protocol that it provides."""
    for contract in provider.contracts:
        lacking = [
            member
            for member in sorted(getattr(contract, "__protocol_attrs__", _members(contract)))
            if not hasattr(type(provider.instance), member)
            and not hasattr(provider.instance, member)
        ]
        if lacking:
            raise ConfigError(
                f"{provider.name}: {type(provider.instance).__name__} provides "
                f"{contract_name(contract)} but has no {', '.join(lacking)}"
            )


def _members(contract: Contract) -> set[str]:
    """Return what a Protocol asks for; nothing for other contracts (Python 3.11)."""
    if isinstance(contract, str) or not getattr(contract, "_is_protocol", False):
        return set()
    own = [base for base in contract.__mro__ if getattr(base, "_is_protocol", False)]
    named = {n for base in own for n in (*vars(base), *vars(base).get("__annotations__", {}))}
    return {name for name in named if not name.startswith("_")}


def _refuse_ambiguous(name: str, found: list[Provider]) -> None:
    """Two contract classes of one name are two contracts: a name cannot choose."""
    classes = {
        contract
        for provider in found
        for contract in provider.contracts
        if not isinstance(contract, str) and contract.__name__ == name
    }
    if len(classes) > 1:
        where = sorted(f"{each.__module__}.{each.__qualname__}" for each in classes)
        raise ConfigError(f"{name!r} names several contracts: {', '.join(where)}; use the class")
