"""Injection: what a component requires, and the properties it is found by.

A requirement is a class attribute. Reading it gives what the registry has for it at that moment,
and inside a computed or effect depends on it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal, TypeVar, get_args, get_origin, overload

from edgekernel.core.computed import Computed
from edgekernel.core.errors import ConfigError, LifecycleError, UnavailableError
from edgekernel.core.markers import Contract
from edgekernel.core.provider import Consumer, Provider, check_property, contract_name
from edgekernel.core.registry import Registry, by_property
from edgekernel.core.signals import Signal

T = TypeVar("T")
C = TypeVar("C", bound=type)

Shape = Literal["one", "list", "map"]


class Requirement:
    """A class attribute that stands for what other components provide."""

    def __init__(
        self,
        contract: Any,
        *,
        id: str | None = None,
        optional: bool = False,
        key: str = "",
        where: Mapping[str, object] | None = None,
    ) -> None:
        container = get_origin(contract)
        self.shape: Shape = "map" if key or container is dict else "one"
        if container is list:
            self.shape = "list"
        if self.shape == "map" and not (key and isinstance(key, str)):
            raise ConfigError(f"requires({contract}): a map needs key=, the property to map by")
        if self.shape == "list" and key:
            raise ConfigError(f"requires({contract}): a list has no key; leave out list or key=")
        if not isinstance(optional, bool):
            raise ConfigError(f"requires({contract}): optional={optional!r} is not True or False")
        self.contract: Contract = get_args(contract)[-1] if container in (list, dict) else contract
        if not isinstance(self.contract, str | type):
            raise ConfigError(
                f"requires({contract!r}): give a class, list[class] or a name; what may be "
                "missing is required with optional=True"
            )
        self.where: dict[str, object] = {**(where or {}), **({} if id is None else {"id": id})}
        self.key = key
        self.optional = optional or self.shape != "one"
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        if name == "ctx":
            raise ConfigError(
                f"{owner.__name__}.ctx: that is the runtime's context; call what it requires "
                "something else"
            )
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        try:
            bound = instance.__dict__[self.name]
        except KeyError:
            raise LifecycleError(
                f"{type(instance).__name__}.{self.name}: nothing is injected yet. Use it from "
                f"start() or activate() on; in a unit test assign it: x.{self.name} = ..."
            ) from None
        return bound.get() if isinstance(bound, Injection) else bound

    def __set__(self, instance: Any, value: object) -> None:
        instance.__dict__[self.name] = value

    def fits(self, provider: Provider) -> bool:
        """Say whether a provider is one of those that are wanted."""
        return provider.fits(self.contract, self.where)

    def __str__(self) -> str:
        conditions = [f"{key} {value!r}" for key, value in self.where.items()]
        return " with ".join([contract_name(self.contract), *conditions])


class Injection(Computed[Any]):
    """What one requirement of one component instance is given, chosen again when need be."""

    __slots__ = ("_consumer", "_instance", "_registry", "requirement")

    def __init__(
        self, requirement: Requirement, registry: Registry, consumer: Consumer, instance: object
    ) -> None:
        self.requirement = requirement
        self._registry = registry
        self._consumer = consumer
        self._instance = instance
        super().__init__(
            self._choose, equals=self._same, name=f"{consumer.name}.{requirement.name}"
        )

    def providers(self) -> list[Provider]:
        """Return the providers that it is given now; a component is not given itself."""
        wanted = self.requirement
        found = [
            each
            for each in self._registry.providers(wanted.contract, wanted.where)
            if each.instance is not self._instance
        ]
        return found[:1] if wanted.shape == "one" else found

    def choose_again(self) -> None:
        """Choose now if the providers have changed; otherwise that is done when it is read."""
        with suppress(Exception):  # raised to who reads it
            self.peek()

    def _choose(self) -> object:
        wanted, providers = self.requirement, self.providers()
        if wanted.shape == "map":
            return by_property(providers, wanted.key, self._consumer)
        given = [each.given_to(self._consumer) for each in providers]
        if wanted.shape == "list":
            return given
        if not given and not wanted.optional:
            raise UnavailableError(f"{self.name}: nobody provides {wanted}")
        return given[0] if given else None

    def _same(self, old: Any, new: Any) -> bool:
        """Say whether two choices are of the same objects: equal ones are not the same service."""
        if self.requirement.shape == "list":
            return len(old) == len(new) and all(map(operator.is_, old, new))
        if self.requirement.shape == "map":
            return old.keys() == new.keys() and all(old[key] is new[key] for key in old)
        return old is new


class Property:
    """A class attribute that is also a property of what the component provides."""

    def __init__(self, attribute: str, key: str, default: object) -> None:
        self.name = attribute
        self.key = key
        self.default = default

    def signal(self, instance: Any) -> Signal[Any]:
        """Return the signal that holds the value of one instance."""
        made = Signal(self.default, name=self.name)
        found: Signal[Any] = instance.__dict__.setdefault(self.name, made)
        return found

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else self.signal(instance).get()

    def __set__(self, instance: Any, value: object) -> None:
        check_property(type(instance).__name__, self.key, value)
        self.signal(instance).set(value)


# Callable and not type: mypy takes no Protocol for a type[T].
@overload
def requires(
    contract: Callable[..., T],
    /,
    *,
    id: str | None = None,
    where: Mapping[str, object] | None = None,
    optional: Literal[False] = False,
) -> T: ...
@overload
def requires(
    contract: Callable[..., T],
    /,
    *,
    id: str | None = None,
    where: Mapping[str, object] | None = None,
    optional: bool,
) -> T | None: ...
@overload
def requires(
    contract: Callable[..., T], /, *, key: str, where: Mapping[str, object] | None = None
) -> dict[Any, T]: ...
@overload
def requires(contract: str, /, **how: Any) -> Any: ...
@overload
def requires(*, optional: bool = False, key: str = "", **required: Any) -> Callable[[C], C]: ...
def requires(contract: Any = None, /, **how: Any) -> Any:
    """Declare what a component needs of others: as a class attribute, or over the class.

        room = requires(Thermometer, id="room")       # one; the lowest ranking wins
        lamps = requires(list[Lamp])                  # all, the best first
        voices = requires(Voice, key="language")      # by a property: {"en": ..., "de": ...}
        log = requires(ILogger, optional=True)        # None while nobody provides it

    Reading the attribute is a tracked read. A contract is a class, a Protocol or a name; `id`
    and `where` pick by properties. A component without what it requires is not started; one
    that loses it is stopped until it is there again. Over the class it is
    `@requires(log=ILogger, voices=list[IVoice])`.
    """
    if contract is not None:
        return Requirement(contract, **how)
    optional, key = how.pop("optional", False), how.pop("key", "")

    def mark(cls: C) -> C:
        for name, wanted in how.items():
            requirement = Requirement(wanted, optional=optional, key=key)
            requirement.__set_name__(cls, name)
            setattr(cls, name, requirement)
        return cls

    return mark


def prop(attribute: str, key: str, default: object) -> Callable[[C], C]:
    """Mark a class: `self.<attribute>` is the property `key` of what it provides.

    Each instance has its own value, `default` at first. Assigning it at any time lets those who
    choose by it choose again.
    """

    check_property(attribute, key, default)

    def mark(cls: C) -> C:
        setattr(cls, attribute, Property(attribute, key, default))
        return cls

    return mark


def requirements(cls: type) -> list[Requirement]:
    """Return what a class and its bases require."""
    return _attributes(cls, Requirement)


def properties(cls: type) -> list[Property]:
    """Return the properties that a class and its bases declare."""
    return _attributes(cls, Property)


def inject(instance: Any, registry: Registry, consumer: Consumer) -> list[Injection]:
    """Bind what an instance requires; what was assigned by hand stays."""
    made = []
    for requirement in requirements(type(instance)):
        if requirement.name not in instance.__dict__:
            injection = Injection(requirement, registry, consumer, instance)
            instance.__dict__[requirement.name] = injection
            made.append(injection)
    return made


def release(instance: Any, injections: list[Injection]) -> None:
    """Take back what `inject` has bound."""
    for injection in injections:
        if instance.__dict__.get(injection.requirement.name) is injection:
            del instance.__dict__[injection.requirement.name]
        injection.dispose()


def _attributes(cls: type, wanted: type[T]) -> list[T]:
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        found.update(vars(base))
    return [value for value in found.values() if isinstance(value, wanted)]
