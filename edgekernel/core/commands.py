"""Commands: what components can be asked to do, by exact name, with checked arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgekernel.core.errors import ForbiddenError, InvalidValueError, UnknownTargetError
from edgekernel.core.markers import CommandNote, notes
from edgekernel.core.record import dataclass

Binder = Callable[[Callable[..., Any], Mapping[str, Any]], Callable[[], Any]]
"""Checks arguments against a method's signature and returns the call, ready to make."""

Authorizer = Callable[[str, str], bool]
"""Says whether a principal (first) has a role (second)."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command of one component instance; `name` is `component.command`."""

    name: str
    role: str | None
    method: Callable[..., Any]

    @property
    def description(self) -> str:
        """The first paragraph of the method's text."""
        import inspect  # costs 6 ms: only where somebody asks

        return (inspect.getdoc(self.method) or "").split("\n\n")[0]


def bind_by_name(method: Callable[..., Any], args: Mapping[str, Any]) -> Callable[[], Any]:
    """Check that the arguments are those of the method; their types are the method's business.

    The node replaces this by validation against the annotations.
    """
    import inspect

    try:
        bound = inspect.signature(method).bind(**args)
    except TypeError as error:
        raise InvalidValueError(f"{error}; the arguments are {inspect.signature(method)}") from None
    return lambda: method(*bound.args, **bound.kwargs)


class CommandTable:
    """The commands of a runtime. Closed by default: a role needs an authorizer that grants it."""

    def __init__(self, binder: Binder, authorizer: Authorizer | None) -> None:
        self._binder = binder
        self._authorizer = authorizer
        self._commands: dict[str, Command] = {}

    def add(self, owner: str, instance: object) -> list[str]:
        """Add the commands of a component instance; return their names, for `remove`."""
        added = []
        for attribute, note in notes(type(instance)):
            if isinstance(note, CommandNote):
                name = f"{owner}.{note.name}"
                self._commands[name] = Command(name, note.role, getattr(instance, attribute))
                added.append(name)
        return added

    def remove(self, names: list[str]) -> None:
        """Take commands out; from now on they are unknown."""
        for name in names:
            self._commands.pop(name, None)

    def has(self, name: str) -> bool:
        """Say whether a command is there."""
        return name in self._commands

    def all(self) -> list[Command]:
        """Return the commands, by name."""
        return [self._commands[name] for name in sorted(self._commands)]

    def prepare(self, name: str, args: Mapping[str, Any], principal: str) -> Callable[[], Any]:
        """Check name, role and arguments; return the call, ready to make."""
        command = self._commands.get(name)
        if command is None:
            raise UnknownTargetError(f"no command {name!r}{nearest(name, self._commands)}")
        if command.role is not None and not self._grants(principal, command.role):
            raise ForbiddenError(
                f"{name} needs the role {command.role!r}, which {principal or 'nobody'!r} has not "
                "been granted"
            )
        try:
            return self._binder(command.method, args)
        except InvalidValueError as error:
            raise InvalidValueError(f"{name}: {error}") from None

    def _grants(self, principal: str, role: str) -> bool:
        return self._authorizer is not None and self._authorizer(principal, role)


def nearest(name: str, known: Mapping[str, object] | list[str]) -> str:
    """Return a suggestion for a name that does not exist, for the end of an error text."""
    from difflib import get_close_matches  # only where something has gone wrong

    close = get_close_matches(name, list(known), n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are: {', '.join(sorted(known))}" if known else "; there are none"
