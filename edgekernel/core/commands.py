"""Commands: what components can be asked to do, by exact name, each defined by its signature."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from edgekernel.core.errors import InvalidValueError, UnknownTargetError, nearest
from edgekernel.core.hints import hints_of
from edgekernel.core.markers import CommandNote, ExposeNote, class_notes, is_async, notes
from edgekernel.core.masking import secret_parameters
from edgekernel.core.record import dataclass
from edgekernel.core.signals import Signal

if TYPE_CHECKING:
    import inspect  # costs 6 ms: only where somebody asks

    from edgekernel.core.control import Control

Binder = Callable[[Callable[..., Any], Mapping[str, Any]], Callable[[], Any]]
"""Checks arguments against a method's signature and returns the call, ready to make."""

Authorizer = Callable[[str, str], bool]
"""Says whether a principal (first) has been granted a role or an action (second)."""

Properties = Callable[[], Mapping[str, object]]
"""Returns the properties that a component instance has at the moment."""

RunsOn = Literal["turn", "worker", "loop"]
"""Where a command runs: as a turn, on a worker thread, or on the event loop."""

_signatures: WeakKeyDictionary[Callable[..., Any], inspect.Signature] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a command. The `default` means something if it is not `required`."""

    name: str
    annotation: Any
    default: Any
    required: bool


@dataclass(frozen=True, slots=True, eq=False)
class Command:
    """A command of one component instance; `name` is `component.command`.

    The same command of the other instances that were made of its component's `factory` is told
    apart by the target: the instance's name, or its property `target`.
    """

    name: str
    owner: str
    note: CommandNote
    method: Callable[..., Any]
    runs_on: RunsOn
    factory: str = ""
    properties: Properties = dict
    exposed: tuple[ExposeNote, ...] = ()
    secret: frozenset[str] = frozenset()
    control: Control | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The exact name, and the one that it shares with the other instances of its factory."""
        if self.factory in ("", self.owner):
            return (self.name,)
        return self.name, f"{self.factory}.{self.note.name}"

    @property
    def role(self) -> str | None:
        """The role that the caller needs."""
        return self.note.role

    @property
    def description(self) -> str:
        """What was given as such, or the first paragraph of the method's text."""
        import inspect

        return self.note.description or (inspect.getdoc(self.method) or "").split("\n\n")[0]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The arguments in order, each `Any` that has no annotation."""
        hints = self._hints()
        return tuple(
            Parameter(name, hints.get(name, Any), each.default, each.default is each.empty)
            for name, each in _signature(self.method).parameters.items()
        )

    @property
    def returns(self) -> Any:
        """The annotation of the result."""
        return self._hints().get("return", Any)

    def visible_on(self, surface: str) -> bool:
        """Say whether a surface (mqtt, rest, mcp, cli) may show and call it.

        Of several `@expose` for one surface the outermost of the latest class counts.
        """
        if self.note.internal or not self.exposed:
            return not self.note.internal
        own = [note for note in self.exposed if note.surface == surface]
        if not own or self.note.name in own[-1].exclude:
            return False
        return not own[-1].include or self.note.name in own[-1].include

    def is_target(self, target: str) -> bool:
        """Say whether its instance is the one that a request means."""
        return target in (self.owner, str(self.properties().get("target", "")))

    def _hints(self) -> Mapping[str, Any]:
        try:
            return hints_of(self.method)
        except Exception:  # a name that only a type checker knows: the texts, as they stand
            return dict(getattr(self.method, "__annotations__", {}))


def bind_by_name(method: Callable[..., Any], args: Mapping[str, Any]) -> Callable[[], Any]:
    """Check that the arguments are those of the method; their types are the method's business.

    The node replaces this by validation against the annotations.
    """
    signature = _signature(method)
    try:
        bound = signature.bind(**args)
    except TypeError as error:
        raise InvalidValueError(f"{error}; the arguments are {signature}") from None
    return lambda: method(*bound.args, **bound.kwargs)


class CommandTable:
    """The commands that there are. A name is exact: nothing else is ever taken for it."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}
        self.names: Signal[frozenset[str]] = Signal(frozenset())
        """The exact names of all commands."""

    def add(
        self,
        owner: str,
        instance: object,
        *,
        factory: str = "",
        properties: Properties = dict,
        control: Control | None = None,
    ) -> list[Command]:
        """Add the commands of a component instance and return them, for `remove`.

        They take the place of those with the same names: a new version of a component is added
        before the old one is removed. With `factory`, the name under which several instances are
        known, they are also `factory.command`, told apart by the target that a request names.
        What they set is noted in `control`, that of their part.
        """
        exposed = tuple(class_notes(type(instance), ExposeNote))
        added = [
            Command(
                name=f"{owner}.{note.name}",
                owner=owner,
                note=note,
                method=(method := getattr(instance, attribute)),
                runs_on=_runs_on(note, method),
                factory=factory,
                properties=properties,
                exposed=exposed,
                secret=secret_parameters(method),
                control=control,
            )
            for attribute, note in notes(type(instance))
            if isinstance(note, CommandNote)
        ]
        self._commands.update((made.name, made) for made in added)
        self.names.set(frozenset(self._commands))
        return added

    def remove(self, commands: Iterable[Command]) -> None:
        """Take commands out, unless others have taken their place; removing twice is harmless."""
        for command in commands:
            if self._commands.get(command.name) is command:
                del self._commands[command.name]
        self.names.set(frozenset(self._commands))

    def has(self, name: str) -> bool:
        """Say whether a command is there."""
        return name in self._commands

    def all(self) -> list[Command]:
        """Return the commands, by name."""
        return [self._commands[name] for name in sorted(self._commands)]

    def visible(self, surface: str) -> list[Command]:
        """Return the commands that a surface may show and call, by name."""
        return [command for command in self.all() if command.visible_on(surface)]

    def find(self, name: str, target: str = "") -> Command:
        """Return the command of that exact name, or the one of a factory's instance.

        Raises UnknownTargetError, and InvalidValueError if several instances could be meant.
        """
        exact = self._commands.get(name)
        if exact is not None and (not target or exact.is_target(target)):
            return exact
        found = list(self._of_factory(name))
        if exact is None and not found:
            raise UnknownTargetError(f"no command {name!r}{nearest(name, self._known())}")
        if target:
            known = _targets(found if exact is None else [exact, *found])
            found = [command for command in found if command.is_target(target)]
            if not found:
                raise UnknownTargetError(f"{name} has no target {target!r}{nearest(target, known)}")
        if len(found) > 1:
            which = f"{target!r} is the target of" if target else "give a target, one of"
            raise InvalidValueError(f"{name}: {which} {', '.join(_targets(found, not target))}")
        return found[0]

    def _of_factory(self, name: str) -> Iterator[Command]:
        return (command for command in self.all() if name in command.names[1:])

    def _known(self) -> list[str]:
        return sorted({name for command in self.all() for name in command.names})


def _signature(method: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a bound method; making one takes longer than a call."""
    function = getattr(method, "__func__", method)
    found = _signatures.get(function)
    if found is None:
        import inspect

        found = _signatures[function] = inspect.signature(method)
    return found


def _runs_on(note: CommandNote, method: Callable[..., Any]) -> RunsOn:
    if is_async(method):
        return "loop"
    return "worker" if note.blocking else "turn"


def _targets(commands: Iterable[Command], by_property: bool = True) -> list[str]:
    """Return what tells the instances of commands apart: the property, or the name."""
    return [
        str((by_property and command.properties().get("target")) or command.owner)
        for command in commands
    ]
