"""Keys that differ between two documents, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edgekernel.core.masking import HIDDEN, sounds_secret


class _Absent:
    """The value of a key that is not there."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
"""Stands for the value of a key that is not there."""


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One key with another value; ABSENT is none. Of a table that is new, or gone, it is one."""

    path: tuple[str, ...]
    old: Any
    new: Any

    def __str__(self) -> str:
        """Return the key as it is written in the file, dots between its parts."""
        return ".".join(self.path)

    def below(self, *path: str) -> bool:
        """Say whether it concerns something of a table, or the table as a whole."""
        least = min(len(path), len(self.path))
        return self.path[:least] == path[:least]

    @property
    def secret(self) -> bool:
        """Whether its values must not be shown."""
        return any(map(sounds_secret, self.path))

    @property
    def shown(self) -> tuple[Any, Any]:
        """Both values as they may be shown, None for one that is not there."""
        return _shown(self.old, self.secret), _shown(self.new, self.secret)


def changed_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[KeyChange, ...]:
    """Return what turns one document into the other, in the order of the old one."""
    return tuple(_changes(old, new, ()))


def with_changes(document: Mapping[str, Any], changes: Iterable[KeyChange]) -> dict[str, Any]:
    """Return a document after these changes: `changed_keys(a, b)` on `a` makes `b`."""
    made: dict[str, Any] = _copy(document)
    for change in changes:
        table = made
        *outside, last = change.path
        for key in outside:
            table = table[key]
        if change.new is ABSENT:
            del table[last]
        else:
            table[last] = _copy(change.new)
    return made


def _changes(
    old: Mapping[str, Any], new: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[KeyChange]:
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key, ABSENT), new.get(key, ABSENT)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _changes(before, after, (*path, key))
        elif not _same(before, after):
            yield KeyChange((*path, key), before, after)


def _same(before: Any, after: Any) -> bool:
    """Say whether two values are the same; `true` and 1 are not."""
    return type(before) is type(after) and repr(before) == repr(after)


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(each) for key, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list) else value


def _shown(value: Any, secret: bool) -> Any:
    if value is ABSENT:
        return None
    if secret:
        return HIDDEN
    if isinstance(value, Mapping):
        return {key: _shown(each, sounds_secret(key)) for key, each in value.items()}
    return [_shown(each, False) for each in value] if isinstance(value, list) else value
