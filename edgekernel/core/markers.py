"""Markers: decorators that say what a class or a method is for, and do nothing else.

A marker leaves a small note on the function or class and returns it. The notes of a class, and of
the classes it inherits from, are gathered when a runtime activates an instance; only then are
computeds, effects, handlers and commands made of them. A method stays a plain method: it can be
called and tested without a runtime, and a class belongs to no runtime.

A subclass inherits the marked methods. One that overrides such a method says anew what it is:
marked, the mark counts that it has there; not marked, it is a plain method again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any, Literal, TypeVar, get_args, overload

from edgekernel.core.errors import ConfigError
from edgekernel.core.limits import RateLimit
from edgekernel.core.messages import Message
from edgekernel.core.record import dataclass

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)

Contract = type | str
"""What is provided and required: a class (often a Protocol), or a name."""
Strategy = Literal["one-for-one", "one-for-all", "rest-for-one"]

_CO_COROUTINE = 0x80
"""`inspect.CO_COROUTINE`, without an import of 6 ms."""
_NOTE = "__edgekernel__"
_CLASS_NOTE = "__edgekernel_class__"


@dataclass(frozen=True, slots=True)
class ComputedNote:
    """The method is a derived value."""


@dataclass(frozen=True, slots=True)
class EffectNote:
    """The method runs again whenever a value it has read changes."""

    cancel_on_supersede: bool = False


@dataclass(frozen=True, slots=True)
class OnNote:
    """The method handles messages of these classes, or with names that fit these patterns."""

    messages: tuple[type[Message] | str, ...]


@dataclass(frozen=True, slots=True)
class CommandNote:
    """The method can be asked for from outside; `command` says what each setting means."""

    name: str
    role: str | None = None
    action: str | None = None
    timeout_s: float | None = None
    blocking: bool = False
    description: str = ""
    internal: bool = False
    destructive: bool = False
    rate_limit: RateLimit | None = None


@dataclass(frozen=True, slots=True)
class HookNote:
    """The runtime calls the method at a step of the component's life."""

    step: Literal["activate", "deactivate", "health", "snapshot", "restore", "supervision"]
    supervision: Supervision | None = None


@dataclass(frozen=True, slots=True)
class Supervision:
    """How a component restarts the children it has spawned; times in seconds.

    The strategy is one-for-one, one-for-all or rest-for-one.
    At most `max_restarts` in `within_s`, the first after `backoff_s`, each later one after twice
    the delay, up to `backoff_limit_s`. What goes beyond is a failure of the component itself.
    """

    strategy: Strategy = "one-for-one"
    max_restarts: int = 3
    within_s: float = 60.0
    backoff_s: float = 1.0
    backoff_limit_s: float = 60.0

    def __post_init__(self) -> None:
        checks = {
            "strategy": self.strategy in get_args(Strategy),
            "max_restarts": self.max_restarts >= 0,
            "within_s": 0 < self.within_s < math.inf,
            "backoff_s": 0 <= self.backoff_s < math.inf,
            "backoff_limit_s": 0 <= self.backoff_limit_s < math.inf,
        }
        problems = [
            f"lifecycle.supervision: {field} is {getattr(self, field)!r}; see `Supervision`"
            for field, fine in checks.items()
            if not fine
        ]
        if problems:
            raise ConfigError(*problems)


Note = ComputedNote | EffectNote | OnNote | CommandNote | HookNote


@dataclass(frozen=True, slots=True)
class ComponentNote:
    """What a component class is called, and what it needs beside its requirements."""

    name: str
    namespace: str = ""
    version: str = "0.0.0"
    depends: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ProvidesNote:
    """The contracts that an instance fulfils for others.

    `factory` names the method `(consumer) -> object` that makes what each consumer is given.
    """

    contracts: tuple[Contract, ...]
    factory: str = ""


@dataclass(frozen=True, slots=True)
class KindNote:
    """A data schema that the component brings."""

    name: str
    model: type
    description: str = ""


@dataclass(frozen=True, slots=True)
class SkillNote:
    """A text of knowledge that the component brings, in Markdown."""

    name: str
    content: str
    triggers: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class ExposeNote:
    """A surface (mqtt, rest, mcp, cli) on which the component's commands can be reached.

    With `include` only the commands named there, without those in `exclude`.
    """

    surface: str
    prefix: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


ClassNote = ComponentNote | ProvidesNote | KindNote | SkillNote | ExposeNote
N = TypeVar("N", bound=ClassNote)


def computed(method: F) -> F:
    """Mark a method as a derived value: call it; it computes only if an input has changed."""
    return _mark(method, ComputedNote())


@overload
def effect(method: F, /) -> F: ...
@overload
def effect(*, cancel_on_supersede: bool = False) -> Callable[[F], F]: ...
def effect(
    method: F | None = None, /, *, cancel_on_supersede: bool = False
) -> F | Callable[[F], F]:
    """Mark a method as an effect: it runs at activation and whenever what it read changes.

    An `async` method runs on the runtime's event loop; with `cancel_on_supersede` a run is
    cancelled when what it has read changes, else it is run once more when it has ended.
    """
    note = EffectNote(cancel_on_supersede)
    return _mark(method, note) if method is not None else lambda function: _mark(function, note)


def on(*messages: type[Message] | str) -> Callable[[F], F]:
    """Mark a method `(self, event)` as the handler of messages.

    Of the classes given and their subclasses, or with a dotted name that fits a pattern as in a
    shell: "button.*" fits "button.pressed" and "button.held.long".
    """
    wrong = [each for each in messages if not isinstance(each, str) and not _is_message(each)]
    if wrong or not messages:
        raise TypeError(f"on() is given message classes or names, not {wrong}: @on(Opened)")
    return lambda method: _mark(method, OnNote(messages))


@overload
def command(method: F, /) -> F: ...
@overload
def command(
    *,
    name: str = "",
    role: str | None = None,
    action: str | None = None,
    timeout_s: float | None = None,
    blocking: bool = False,
    description: str = "",
    internal: bool = False,
    destructive: bool = False,
    rate_limit: str = "",
) -> Callable[[F], F]: ...
def command(
    method: F | None = None,
    /,
    *,
    name: str = "",
    role: str | None = None,
    action: str | None = None,
    timeout_s: float | None = None,
    blocking: bool = False,
    description: str = "",
    internal: bool = False,
    destructive: bool = False,
    rate_limit: str = "",
) -> F | Callable[[F], F]:
    """Mark a method as a command: callable by name from every surface, its arguments checked.

    It runs as a turn, so it must be quick. A `blocking` one runs on a worker thread and an
    `async` one on the runtime's event loop, both beside the handlers. What it is called is the
    method's name unless `name` is given; its `description` is the first paragraph of its text.

    The caller must have been granted the `role` and the `action` ("valves:open") if they are
    given. No call takes longer than `timeout_s` seconds for its caller. `rate_limit` such as
    "10/min" (s, min, h) holds for all callers together. An `internal` command is reachable in
    the program only; a `destructive` one not for principals whose policy says so.
    """
    if timeout_s is not None and not timeout_s > 0:
        raise ConfigError(f"command {name}: timeout_s is {timeout_s}; it must be above 0")
    limit = RateLimit.parse(rate_limit) if rate_limit else None

    def mark(function: F) -> F:
        if blocking and is_async(function):
            raise ConfigError(f"{function.__qualname__}: `async` or `blocking`, not both")
        own = name or function.__name__
        note = CommandNote(
            own, role, action, timeout_s, blocking, description, internal, destructive, limit
        )
        return _mark(function, note)

    return mark if method is None else mark(method)


class lifecycle:
    """Markers for the steps of a component's life. The methods may be `async`.

    Each takes `(self)`, or `(self, ctx)` to be given the runtime's context.
    """

    @staticmethod
    def activate(method: F) -> F:
        """Make ready: what is required is there. Raise to say that it cannot work."""
        return _mark(method, HookNote("activate"))

    @staticmethod
    def deactivate(method: F) -> F:
        """Give back what `activate` took; also called after an `activate` that failed."""
        return _mark(method, HookNote("deactivate"))

    @staticmethod
    def health(method: F) -> F:
        """Say how it is: True, False, or a text with what is wrong ("" is healthy); or raise."""
        return _mark(method, HookNote("health"))

    @staticmethod
    def snapshot(method: F) -> F:
        """Return what the next version of the component is to know; for hot update."""
        return _mark(method, HookNote("snapshot"))

    @staticmethod
    def restore(method: F) -> F:
        """Take `(self, snapshot)` over from the version before; raise to keep that one."""
        return _mark(method, HookNote("restore"))

    @staticmethod
    def supervision(
        *,
        strategy: Strategy = "one-for-one",
        max_restarts: int = 3,
        within_s: float = 60.0,
        backoff_s: float = 1.0,
        backoff_limit_s: float = 60.0,
    ) -> Callable[[F], F]:
        """Mark a method `(self, child, error, attempt)` that decides about a failed child.

        True restarts it by the strategy; False gives it up. See `Supervision` for the numbers.
        Raises ConfigError for a strategy that there is not, or a number that is none.
        """
        how = Supervision(strategy, max_restarts, within_s, backoff_s, backoff_limit_s)
        return lambda method: _mark(method, HookNote("supervision", how))


def component(
    name: str,
    *,
    namespace: str = "",
    version: str = "0.0.0",
    depends: tuple[str, ...] | list[str] = (),
    optional: bool = False,
) -> Callable[[C], C]:
    """Mark a class as a component called `name`; any class can be one.

    `depends` names components that start before it. An `optional` one that does not start leaves
    the runtime degraded, and is tried again.
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f'component() is given a name, not {name!r}: @component("greeter")')
    note = ComponentNote(name, namespace, version, _names("depends", depends), optional)
    return lambda cls: _mark_class(cls, note)


def provides(*contracts: Contract, factory: str = "") -> Callable[[C], C]:
    """Mark a class as providing contracts: classes, Protocols (checked when it starts) or names.

    A class always provides itself and its bases. With `factory`, the name of a method
    `(consumer) -> object`, each consumer is given what that method makes for it, once, and for
    as long as both are there. `consumer` has the `name` of the component instance and its
    `component`, so that what is given can be scoped to one instance or to all of a class.
    """
    return lambda cls: _mark_class(cls, ProvidesNote(contracts, factory))


def kind(name: str, *, model: type, description: str = "") -> Callable[[C], C]:
    """Mark a class as bringing a data schema: `runtime.kinds[name]` while it is active."""
    return lambda cls: _mark_class(cls, KindNote(name, model, description))


def skill(
    name: str, *, content: str, triggers: tuple[str, ...] | list[str] = (), description: str = ""
) -> Callable[[C], C]:
    """Mark a class as bringing knowledge: `runtime.skills[name]` while it is active."""
    words = _names("triggers", triggers)
    return lambda cls: _mark_class(cls, SkillNote(name, content, words, description))


def expose(
    surface: str,
    *,
    prefix: str = "",
    include: tuple[str, ...] | list[str] = (),
    exclude: tuple[str, ...] | list[str] = (),
) -> Callable[[C], C]:
    """Mark a class's commands as reachable on a surface; stackable.

    Who may call them and how often is said at each `@command`, for every surface alike.

    A class without any is reachable on all surfaces, one with some only on those named.
    """
    chosen = _names("include", include), _names("exclude", exclude)
    note = ExposeNote(surface, prefix, *chosen)
    return lambda cls: _mark_class(cls, note)


def notes(cls: type) -> Iterator[tuple[str, Note]]:
    """Yield the marked methods of a class in definition order, base classes first."""
    seen: dict[str, None] = {}
    for base in reversed(cls.__mro__):
        seen.update(dict.fromkeys(vars(base)))
    for name in seen:
        for note in notes_of(getattr(cls, name, None)):
            yield name, note


def notes_of(method: object) -> tuple[Note, ...]:
    """Return what is marked on one function."""
    found: tuple[Note, ...] = getattr(method, _NOTE, ())
    return found


def hook(instance: object, step: str) -> Callable[..., Any] | None:
    """Return the method of an instance that is marked for a step of its life."""
    for name, note in notes(type(instance)):
        if isinstance(note, HookNote) and note.step == step:
            method: Callable[..., Any] = getattr(instance, name)
            return method
    return None


def is_async(function: Callable[..., Any]) -> bool:
    """Say whether a function or method was written with `async def`."""
    code = getattr(function, "__code__", None)
    # A mock has every attribute that it is asked for.
    return isinstance(code, CodeType) and bool(code.co_flags & _CO_COROUTINE)


def class_notes(cls: type, wanted: type[N]) -> list[N]:
    """Return the notes of one kind on a class and its bases, base classes first."""
    return [
        note
        for base in reversed(cls.__mro__)
        for note in vars(base).get(_CLASS_NOTE, ())
        if isinstance(note, wanted)
    ]


def has_class_note(cls: type) -> bool:
    """Say whether a class or one of its bases is marked."""
    return any(_CLASS_NOTE in vars(base) for base in cls.__mro__)


def own_component_note(cls: type) -> ComponentNote | None:
    """Return the class's own `@component` note: a subclass is another component."""
    own = [note for note in vars(cls).get(_CLASS_NOTE, ()) if isinstance(note, ComponentNote)]
    return own[-1] if own else None


def _is_message(given: object) -> bool:
    return isinstance(given, type) and issubclass(given, Message)


def _names(what: str, given: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        raise TypeError(f"{what} is a list of names; write [{given!r}]")
    return tuple(given)


def _mark(method: F, note: Note) -> F:
    """Leave a note on a function: one of each kind, the last one counts; `on` adds up."""
    if isinstance(method, staticmethod | classmethod | property):
        raise TypeError(
            f"a {type(method).__name__} cannot be marked: put the marker below it, on the "
            "function. A computed is no property: it is called."
        )
    earlier = tuple(
        other
        for other in getattr(method, _NOTE, ())
        if (other != note if isinstance(note, OnNote) else type(other) is not type(note))
    )
    setattr(method, _NOTE, (*earlier, note))
    return method


def _mark_class(cls: C, note: ClassNote) -> C:
    """Leave a note on a class itself, not on its bases; marking twice is marking once."""
    earlier = tuple(other for other in vars(cls).get(_CLASS_NOTE, ()) if other != note)
    setattr(cls, _CLASS_NOTE, (*earlier, note))
    return cls
