"""What a component class is (its metadata), and what is made of an instance at activation."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from types import FunctionType
from typing import Any, TypeVar

from edgekernel.core.computed import Computed
from edgekernel.core.effect import Effect
from edgekernel.core.errors import ConfigError
from edgekernel.core.injection import Property, Requirement, properties, requirements
from edgekernel.core.markers import (
    CommandNote,
    ComponentNote,
    ComputedNote,
    Contract,
    EffectNote,
    ExposeNote,
    HookNote,
    KindNote,
    Note,
    OnNote,
    ProvidesNote,
    SkillNote,
    Supervision,
    class_notes,
    has_class_note,
    notes,
    notes_of,
    own_component_note,
)
from edgekernel.core.messages import Message
from edgekernel.core.record import dataclass

H = TypeVar("H", bound=Hashable)

_NOT_AT_ONCE = 0x20 | 0x80 | 0x200
"""Flags of generators, coroutines and async generators in a code object (inspect.CO_*)."""


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


def describe_class(cls: type) -> Meta:
    """Return what a class says about itself with its markers and those of its bases.

    What it needs (`depends`, requirements) it needs beside what its bases need; its name,
    namespace and version are its own. Raises ConfigError for markers that cannot be meant.
    """
    own = own_component_note(cls) or ComponentNote(kebab(cls.__name__))
    provided = class_notes(cls, ProvidesNote)
    marked = list(notes(cls))
    hooks = {note.step: note for _, note in marked if isinstance(note, HookNote)}
    factory = next((note.factory for note in reversed(provided) if note.factory), "")
    _check(cls, marked, factory)
    return Meta(
        name=own.name,
        namespace=own.namespace,
        version=own.version,
        depends=_once(name for note in class_notes(cls, ComponentNote) for name in note.depends),
        optional=own.optional,
        contracts=_once(contract for note in provided for contract in note.contracts),
        factory=factory,
        requirements=tuple(requirements(cls)),
        properties=tuple(properties(cls)),
        commands=tuple(note.name for _, note in marked if isinstance(note, CommandNote)),
        handlers=tuple(m for _, note in marked if isinstance(note, OnNote) for m in note.messages),
        computeds=tuple(name for name, note in marked if isinstance(note, ComputedNote)),
        effects=tuple(name for name, note in marked if isinstance(note, EffectNote)),
        kinds=tuple(class_notes(cls, KindNote)),
        skills=tuple(class_notes(cls, SkillNote)),
        exposures=tuple(class_notes(cls, ExposeNote)),
        supervision=hooks["supervision"].supervision if "supervision" in hooks else None,
    )


def is_marked(cls: type) -> bool:
    """Say whether a class or one of its bases has any marker."""
    return bool(has_class_note(cls) or any(notes(cls)) or requirements(cls) or properties(cls))


def _once(found: Iterable[H]) -> tuple[H, ...]:
    return tuple(dict.fromkeys(found))


def _check(cls: type, marked: Sequence[tuple[str, Note]], factory: str) -> None:
    """Raise ConfigError for markers that cannot be meant, before anything is started."""
    steps: dict[str, str] = {}
    commands: dict[str, str] = {}
    for name, note in marked:
        where = f"{cls.__name__}.{name}"
        if isinstance(note, ComputedNote) and _comes_later(getattr(cls, name)):
            raise ConfigError(
                f"{where}: a computed cannot be async or a generator: its value is there at "
                "once. Make it an effect that sets a signal."
            )
        if isinstance(note, OnNote) and _comes_later(getattr(cls, name)):
            raise ConfigError(
                f"{where}: a handler cannot be async or a generator: handlers see the events one "
                "at a time, in their order. Let it call an async @command with "
                "ctx.invoke_nowait, or set a signal that an async @effect reads."
            )
        if isinstance(note, CommandNote) and commands.setdefault(note.name, name) != name:
            raise ConfigError(
                f"{where}: {commands[note.name]} is the command {note.name!r} too. Give one "
                "another name."
            )
        if isinstance(note, HookNote) and steps.setdefault(note.step, name) != name:
            raise ConfigError(
                f"{where}: {steps[note.step]} is marked @lifecycle.{note.step} too. Mark one, and "
                "let it call the other."
            )
    for name in _called_at_once(cls):
        if _comes_later(getattr(cls, name)):
            raise ConfigError(
                f"{cls.__name__}.{name}: it cannot be async or a generator: it is called, and not "
                "awaited. Use an async @effect or @command, or lifecycle.activate."
            )
    for name, value in vars(cls).items():
        if isinstance(value, property) and list(notes_of(value.fget)):
            raise ConfigError(
                f"{cls.__name__}.{name}: a marked method cannot be a property; it is called"
            )
    if factory and not callable(getattr(cls, factory, None)):
        raise ConfigError(f"{cls.__name__}: factory={factory!r} is none of its methods")


def _called_at_once(cls: type) -> Iterator[str]:
    """Yield the names of what edgekernel's own base classes say how to call."""
    for base in cls.__mro__:
        if base.__module__.startswith("edgekernel.core."):
            yield from (
                name for name, value in vars(base).items() if isinstance(value, FunctionType)
            )


def _comes_later(function: object) -> bool:
    """Say whether a call of a function only makes a coroutine or a generator."""
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & _NOT_AT_ONCE)


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
        self.effects: list[Effect] = []
        """Those of its notes, in definition order."""
        self._owner = owner or getattr(instance, "name", type(instance).__name__)
        self._failed = failed
        marked = list(notes(type(instance)))
        for name, note in marked:
            if isinstance(note, ComputedNote):
                method = getattr(instance, name)
                self._computeds[name] = Computed(method, name=f"{self._owner}.{name}")
        for name, node in self._computeds.items():
            vars(instance)[name] = node.get  # so in a frozen dataclass too
        for name, note in marked:
            if isinstance(note, EffectNote):
                self._react(name, note)

    def _react(self, name: str, note: EffectNote) -> None:
        label, failed = f"{self._owner}.{name}", self._failed
        on_error = None if failed is None else lambda error: failed(label, error)
        self.effects.append(
            Effect(
                getattr(self._instance, name),
                cancel_on_supersede=note.cancel_on_supersede,
                on_error=on_error,
                name=label,
            )
        )

    def fallbacks(self) -> list[Callable[[], object]]:
        """Return what is called if its effects fail."""
        return [each for effect in self.effects for each in effect.fallbacks()]

    def close(self) -> None:
        """Dispose what was made; the methods are plain methods again."""
        for effect in reversed(self.effects):
            effect.dispose()
        for name, node in self._computeds.items():
            node.dispose()
            vars(self._instance).pop(name, None)
