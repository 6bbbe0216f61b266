"""What a component class is (its metadata), and what is made of an instance at activation."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

from edgekernel.core.computed import Computed
from edgekernel.core.effect import Effect
from edgekernel.core.errors import ConfigError
from edgekernel.core.injection import Property, Requirement, properties, requirements
from edgekernel.core.markers import (
    CommandNote,
    ComputedNote,
    Contract,
    EffectNote,
    ExposeNote,
    HookNote,
    KindNote,
    OnNote,
    ProvidesNote,
    SkillNote,
    Supervision,
    class_notes,
    notes,
    own_component_note,
)
from edgekernel.core.messages import Message
from edgekernel.core.record import dataclass


@dataclass(frozen=True, slots=True)
class Meta:
    """What a component class says about itself; each class has its own."""

    name: str
    namespace: str
    version: str
    depends: tuple[str, ...]
    optional: bool
    contracts: tuple[Contract, ...]
    factory: str
    requirements: tuple[Requirement, ...]
    properties: tuple[Property, ...]
    commands: tuple[str, ...]
    handlers: tuple[type[Message] | str, ...]
    computeds: tuple[str, ...]
    effects: tuple[str, ...]
    kinds: tuple[KindNote, ...]
    skills: tuple[SkillNote, ...]
    exposures: tuple[ExposeNote, ...]
    supervision: Supervision | None

    @property
    def qualified_name(self) -> str:
        """The name with its namespace."""
        return f"{self.namespace}.{self.name}" if self.namespace else self.name


_known: weakref.WeakKeyDictionary[type, Meta] = weakref.WeakKeyDictionary()


def describe_class(cls: type) -> Meta:
    """Return what a class says about itself with its markers and those of its bases."""
    if cls not in _known:
        _known[cls] = _describe(cls)
    return _known[cls]


def _describe(cls: type) -> Meta:
    own = own_component_note(cls)
    provided = class_notes(cls, ProvidesNote)
    marked = list(notes(cls))
    supervisions = [note.supervision for _, note in marked if isinstance(note, HookNote)]
    return Meta(
        name=own.name if own else kebab(cls.__name__),
        namespace=own.namespace if own else "",
        version=own.version if own else "0.0.0",
        depends=own.depends if own else (),
        optional=own.optional if own else False,
        contracts=tuple(dict.fromkeys(c for note in provided for c in note.contracts)),
        factory=next((note.factory for note in reversed(provided) if note.factory), ""),
        requirements=tuple(requirements(cls)),
        properties=tuple(properties(cls)),
        commands=tuple(note.name for _, note in marked if isinstance(note, CommandNote)),
        handlers=tuple(m for _, note in marked if isinstance(note, OnNote) for m in note.messages),
        computeds=tuple(name for name, note in marked if isinstance(note, ComputedNote)),
        effects=tuple(name for name, note in marked if isinstance(note, EffectNote)),
        kinds=tuple(class_notes(cls, KindNote)),
        skills=tuple(class_notes(cls, SkillNote)),
        exposures=tuple(class_notes(cls, ExposeNote)),
        supervision=next((each for each in supervisions if each is not None), None),
    )


def kebab(name: str) -> str:
    """Return a class name as a component name: FlowMeter becomes "flow-meter"."""
    words = [
        f"-{letter.lower()}"
        if letter.isupper() and at and (name[at - 1].islower() or name[at + 1 : at + 2].islower())
        else letter.lower()
        for at, letter in enumerate(name.strip("_"))
    ]
    return "".join(words)


def handlers(
    instance: object,
) -> Iterator[tuple[type[Message] | str, Callable[[Any], object]]]:
    """Yield message class or name pattern, and bound method, for each `@on` of an instance."""
    for name, note in notes(type(instance)):
        if isinstance(note, OnNote):
            for message in note.messages:
                yield message, getattr(instance, name)


class Activation:
    """The live side of a component: what was made of its notes, until it is taken down."""

    def __init__(
        self,
        instance: Any,
        owner: str = "",
        failed: Callable[[str, Exception], object] | None = None,
    ) -> None:
        """Make the computeds and run the effects of an instance, in definition order.

        `owner` is what they are called after in reports; `failed` is given the name of an effect
        and what it has raised, instead of the turn queue's owner.
        """
        self._instance = instance
        self._computeds: dict[str, Computed[Any]] = {}
        self._effects: list[Effect] = []
        self._owner = owner or getattr(instance, "name", type(instance).__name__)
        self._failed = failed
        marked = list(notes(type(instance)))
        for name, note in marked:
            if isinstance(note, ComputedNote):
                self._derive(name)
        for name, node in self._computeds.items():
            setattr(instance, name, node.get)
        for name, note in marked:
            if isinstance(note, EffectNote):
                self._react(name)

    def _derive(self, name: str) -> None:
        method = getattr(self._instance, name)
        if getattr(method, "__code__", None) and method.__code__.co_flags & _COROUTINE:
            raise ConfigError(
                f"{self._owner}.{name}: a computed cannot be async: its value is there at once. "
                "Make it an async effect that sets a signal."
            )
        self._computeds[name] = Computed(method, name=f"{self._owner}.{name}")

    def _react(self, name: str) -> None:
        label, failed = f"{self._owner}.{name}", self._failed
        on_error = None if failed is None else lambda error: failed(label, error)
        self._effects.append(Effect(getattr(self._instance, name), on_error=on_error, name=label))

    def close(self) -> None:
        """Dispose what was made; the methods are plain methods again."""
        for effect in reversed(self._effects):
            effect.dispose()
        for name, node in self._computeds.items():
            node.dispose()
            self._instance.__dict__.pop(name, None)


_COROUTINE = 0x80
"""The flag of an `async def` in its code object (inspect.CO_COROUTINE)."""
