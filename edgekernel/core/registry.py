"""The registry: who provides which contract, with which properties, and who is given it.

Every query is a tracked read: inside a computed or effect it comes again when a provider arrives
or leaves, or when a property that decides has changed. One change of the registry is one change,
however many contracts a provider fulfils.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

from edgekernel.core.errors import ConfigError, UnavailableError
from edgekernel.core.markers import Contract
from edgekernel.core.provider import Consumer, Provider, contract_name
from edgekernel.core.signals import Signal, batch

T = TypeVar("T")


class Injected(Protocol):
    """What a consumer was given: tells by whom."""

    def providers(self) -> list[Provider]: ...
    def choose_again(self) -> None: ...


class _Shelf:
    """The providers of one contract that somebody has asked for, and who hears of a change."""

    def __init__(self, contract: Contract, providers: Sequence[Provider]) -> None:
        self.contract = contract_name(contract)
        self.providers = tuple(each for each in providers if each.fulfils(contract))
        self.changed = Signal(0, equals=False, name=f"providers of {self.contract}")

    def exchange(self, old: Provider | None, new: Provider | None) -> bool:
        """Take one provider out and another one in; say whether that changes anything."""
        before = self.providers
        kept = tuple(each for each in before if each is not old)
        self.providers = kept if new is None else (*kept, new)
        return self.providers != before


class Registry:
    """The providers of a runtime."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # around changes; never around user code
        self._providers: tuple[Provider, ...] = ()
        self._changed = Signal(0, equals=False, name="providers")
        self._by_name: dict[str, _Shelf] = {}
        self._by_class: weakref.WeakKeyDictionary[type, _Shelf] = weakref.WeakKeyDictionary()
        self._uses: tuple[tuple[str, Sequence[Injected]], ...] = ()

    def provide(
        self,
        contract: Contract | tuple[Contract, ...],
        instance: object,
        name: str,
        properties: Mapping[str, object] | None = None,
        *,
        factory: Callable[[Consumer], object] | None = None,
    ) -> Provider:
        """Add a provider by hand; components with `@provides` are added by the runtime.

        With `factory` each consumer is given what that makes for it instead of `instance`.
        """
        contracts = contract if isinstance(contract, tuple) else (contract,)
        provider = Provider(name, instance, contracts, properties=properties, factory=factory)
        self.exchange(None, provider)
        return provider

    def withdraw(self, provider: Provider) -> None:
        """Take a provider out, with what its factory has made. Withdrawing twice is harmless."""
        self.exchange(provider, None)
        provider.forget_all()

    def exchange(self, old: Provider | None, new: Provider | None) -> None:
        """Put one provider in the place of another, in one change.

        Raises ConfigError if the new one lacks something of a Protocol that it provides, or has
        the name of another one.
        """
        if old is new:
            return
        if new is not None:
            new.check()
        with self._lock:
            before = self._providers
            kept = tuple(each for each in before if each is not old)
            if new is not None and new not in kept:
                if any(each.name == new.name for each in kept):
                    raise ConfigError(f"{new.name}: there is a provider of this name already")
                if old is not None:
                    new.number = old.number
                kept = (*kept, new)
            self._providers = kept
            if kept == before:
                return
            touched = self._restock(old, new)
        with batch():
            self._changed.set(0)
            for shelf in touched:
                shelf.changed.set(0)

    def _restock(self, old: Provider | None, new: Provider | None) -> list[_Shelf]:
        """Bring the shelves up to date; under the lock. Return those that have changed."""
        shelves: list[tuple[Contract, _Shelf]] = [*self._by_name.items(), *self._by_class.items()]
        return [
            shelf
            for contract, shelf in shelves
            if shelf.exchange(old, new if new is not None and new.fulfils(contract) else None)
        ]

    def _shelf(self, contract: Contract) -> _Shelf:
        with self._lock:
            shelf = (
                self._by_name.get(contract)
                if isinstance(contract, str)
                else self._by_class.get(contract)
            )
            if shelf is None:
                shelf = _Shelf(contract, self._providers)
                if isinstance(contract, str):
                    self._by_name[contract] = shelf
                else:
                    self._by_class[contract] = shelf
        return shelf

    def providers(
        self, contract: Contract, where: Mapping[str, object] | None = None
    ) -> list[Provider]:
        """Return the providers of a contract that have these properties, the best first."""
        shelf = self._shelf(contract)
        shelf.changed.get()
        found = [each for each in shelf.providers if each.has(where or {})]
        refuse_ambiguous(contract, found)
        return sorted(found, key=lambda each: (each.ranking, each.number))

    def has(self, name: str) -> bool:
        """Say whether there is a provider of this name."""
        self._changed.get()
        return any(each.name == name for each in self._providers)

    def find(
        self, contract: Callable[..., T] | str, consumer: Consumer | str = "", **where: object
    ) -> T | None:
        """Return the best provider's service, or None."""
        for best in self.providers(cast("Contract", contract), where):
            return cast("T", best.given_to(_consumer(consumer)))
        return None

    def require(
        self, contract: Callable[..., T] | str, consumer: Consumer | str = "", **where: object
    ) -> T:
        """Return the best provider's service; raises UnavailableError if there is none."""
        found = self.find(contract, consumer, **where)
        if found is None:
            with_what = "".join(f", {key} {value!r}" for key, value in where.items())
            raise UnavailableError(
                f"nobody provides {contract_name(cast(Contract, contract))}{with_what}"
            )
        return found

    def all(
        self, contract: Callable[..., T] | str, consumer: Consumer | str = "", **where: object
    ) -> list[T]:
        """Return every service of a contract, the best first."""
        given = [
            each.given_to(_consumer(consumer))
            for each in self.providers(cast("Contract", contract), where)
        ]
        return cast("list[T]", given)

    def map(
        self, contract: Callable[..., T] | str, key: str, consumer: Consumer | str = ""
    ) -> dict[Any, T]:
        """Return the services by a property, the best first; those without it are left out."""
        return by_property(self.providers(cast("Contract", contract)), key, _consumer(consumer))

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

    def usage(self) -> dict[str, list[str]]:
        """Return who is given the service of each provider now: names of consumers, by name."""
        found: dict[str, dict[str, None]] = {each.name: {} for each in self._providers}
        for consumer, injections in self._uses:
            for each in injections:
                for provider in each.providers():
                    found.setdefault(provider.name, {})[consumer] = None
        return {name: list(consumers) for name, consumers in found.items()}

    def choose_again(self) -> None:
        """Let every consumer choose now, so that none keeps hold of a provider that has gone."""
        for _, injections in self._uses:
            for each in injections:
                each.choose_again()

    def consumers(self, name: str) -> list[str]:
        """Return who is given the service of the provider `name` now."""
        return self.usage().get(name, [])

    def ref_count(self, name: str) -> int:
        """Return how many consumers are given the service of the provider `name` now."""
        return len(self.consumers(name))

    def __len__(self) -> int:
        return len(self._providers)


def by_property(
    providers: Sequence[Provider], key: str, consumer: Consumer | None
) -> dict[Any, Any]:
    """Return what a consumer is given, by a property; of several with one value the first."""
    found: dict[Any, Provider] = {}
    for each in providers:
        properties = each.properties
        if key in properties:
            found.setdefault(properties[key], each)
    return {value: each.given_to(consumer) for value, each in found.items()}


def refuse_ambiguous(contract: Contract, found: Sequence[Provider]) -> None:
    """Raise ConfigError for a name that two contract classes have: it cannot choose."""
    if not isinstance(contract, str):
        return
    classes = {
        each
        for provider in found
        for each in provider.contracts
        if not isinstance(each, str) and each.__name__ == contract
    }
    if len(classes) > 1:
        names = ", ".join(sorted(f"{each.__module__}.{each.__qualname__}" for each in classes))
        raise ConfigError(f"{contract!r} names several contracts: {names}; use the class")


def _consumer(consumer: Consumer | str) -> Consumer | None:
    """Return who asks; a name alone will do."""
    if isinstance(consumer, Consumer):
        return consumer
    return Consumer(consumer) if consumer else None
