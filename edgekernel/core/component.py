"""What a component is made of: markers that say what a method is for, and its activation.

A decorator only marks: it leaves a small note on the function and returns the function. The
notes of a class, and of the classes it inherits from, are gathered when a runtime activates an
instance; only then are computeds, effects, handlers and commands made of them. A method stays a
plain method: it can be called and tested without a runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast, overload

from edgekernel.core.computed import Computed
from edgekernel.core.effect import Effect
from edgekernel.core.messages import Message

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_NOTE = "__edgekernel__"


@dataclass(frozen=True, slots=True)
class ComputedNote:
    """The method is a derived value."""


@dataclass(frozen=True, slots=True)
class EffectNote:
    """The method runs again whenever a value it has read changes."""


@dataclass(frozen=True, slots=True)
class OnNote:
    """The method handles messages of these classes."""

    messages: tuple[type[Message], ...]


@dataclass(frozen=True, slots=True)
class CommandNote:
    """The method can be asked for from outside."""

    name: str
    role: str | None


Note = ComputedNote | EffectNote | OnNote | CommandNote


def computed(method: F) -> F:
    """Mark a method as a derived value: call it; it computes only if an input has changed."""
    return _mark(method, ComputedNote())


def effect(method: F) -> F:
    """Mark a method as an effect: it runs at activation and whenever what it read changes."""
    return _mark(method, EffectNote())


def on(*messages: type[Message]) -> Callable[[F], F]:
    """Mark a method `(self, event)` as the handler of messages of these classes."""
    return lambda method: _mark(method, OnNote(messages))


@overload
def command(method: F, /) -> F: ...
@overload
def command(*, name: str = "", role: str | None = None) -> Callable[[F], F]: ...
def command(
    method: F | None = None, /, *, name: str = "", role: str | None = None
) -> F | Callable[[F], F]:
    """Mark a method as a command: callable by name from every surface, its arguments checked.

    `name` is the method's own unless given; with `role` the caller must have shown that role.
    """

    def mark(function: F) -> F:
        return _mark(function, CommandNote(name or function.__name__, role))

    return mark if method is None else mark(method)


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


def notes(cls: type) -> Iterator[tuple[str, Note]]:
    """Yield the marked methods of a class in definition order, base classes first."""
    seen: dict[str, None] = {}
    for base in reversed(cls.__mro__):
        seen.update(dict.fromkeys(vars(base)))
    for name in seen:
        for note in getattr(getattr(cls, name, None), _NOTE, ()):
            yield name, note


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


def _mark(method: F, note: Note) -> F:
    """Leave a note on a function: one of each kind, the last one counts; `on` adds up."""
    earlier = tuple(
        other
        for other in getattr(method, _NOTE, ())
        if (other != note if isinstance(note, OnNote) else type(other) is not type(note))
    )
    setattr(method, _NOTE, (*earlier, note))
    return method
