"""What a component is made of: what it requires, and its activation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

from edgekernel.core.computed import Computed
from edgekernel.core.effect import Effect
from edgekernel.core.markers import ComputedNote, EffectNote, OnNote, notes
from edgekernel.core.messages import Message

T = TypeVar("T")


def requires(contract: type[T], *, id: str | None = None) -> T:
    """Declare that a component needs a device of a class; reading the attribute gives it.

    `id` picks one of several. Filled in at boot; what is missing keeps the runtime from booting.
    """
    return cast(T, Requirement(contract, id))


class Requirement:
    """A class attribute that stands for a device, found when its component is activated."""

    def __init__(self, contract: type, id: str | None) -> None:
        self.contract = contract
        self.id = id
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        wanted = self.contract.__name__
        return f"{wanted} with id {self.id!r}" if self.id else wanted


def requirements(cls: type) -> list[Requirement]:
    """Return what a class requires."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        found.update(vars(base))
    return [value for value in found.values() if isinstance(value, Requirement)]


def handlers(instance: object) -> Iterator[tuple[type[Message], Callable[[Any], object]]]:
    """Yield message class and bound method for each `@on` of an instance."""
    for name, note in notes(type(instance)):
        if isinstance(note, OnNote):
            for message in note.messages:
                if not isinstance(message, str):
                    yield message, getattr(instance, name)


class Activation:
    """The live side of a component: what was made of its notes, until it is taken down."""

    def __init__(self, instance: Any) -> None:
        """Make the computeds and run the effects of an instance, in definition order."""
        self._instance = instance
        self._computeds: dict[str, Computed[Any]] = {}
        self._effects: list[Effect] = []
        owner = getattr(instance, "name", type(instance).__name__)
        marked = list(notes(type(instance)))
        for name, note in marked:
            if isinstance(note, ComputedNote):
                node = Computed(getattr(instance, name), name=f"{owner}.{name}")
                self._computeds[name] = node
        for name, node in self._computeds.items():
            setattr(instance, name, node.get)
        for name, note in marked:
            if isinstance(note, EffectNote):
                self._effects.append(Effect(getattr(instance, name), name=f"{owner}.{name}"))

    def close(self) -> None:
        """Dispose what was made; the methods are plain methods again."""
        for effect in reversed(self._effects):
            effect.dispose()
        for name, node in self._computeds.items():
            node.dispose()
            self._instance.__dict__.pop(name, None)
