"""A tree of dicts that are never changed, by dot path: what a StateStore holds.

Mappings are branches, everything else is a leaf. A write copies the dicts along its path, and
what is equal before and after stays the very same object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from edgekernel.core.errors import StateConflictError, StateError
from edgekernel.core.graph import really_differs

MAX_LEVELS = 100
"""How deep paths, and the mappings stored under them, may go."""

MISSING: Final = object()
_ATOMS = frozenset({bool, int, float, complex, str, bytes, type(None)})
Branch = dict[str, Any]
Path = tuple[str, ...]


def split(path: str, *, empty: bool = True) -> Path:
    """Return the names of a path; `empty` says whether "" is one. Raises StateError."""
    if empty and path == "":
        return ()
    names = path.split(".") if isinstance(path, str) else []
    if not names or not all(map(str.strip, names)):
        raise StateError(f'{path!r} is no path: write names between dots, as in "room.light"')
    if len(names) > MAX_LEVELS:
        raise StateError(f"{path[:40]!r}... is deeper than {MAX_LEVELS} levels")
    return tuple(names)


def below(value: Any, name: str) -> Any:
    """Return what a branch has under a name, or MISSING."""
    return value.get(name, MISSING) if type(value) is dict else MISSING


def found(tree: Branch, names: Path) -> Any:
    """Return what stands at a path, or MISSING."""
    value: Any = tree
    for name in names:
        value = below(value, name)
    return value


def planted(tree: Branch, names: Path, value: Any) -> Branch:
    """Return a tree with a value (MISSING: with nothing) at a path; the same if it is there."""
    before = found(tree, names)
    value = merged(before, value)
    if value is before:
        return tree
    root = branch = dict(tree)
    for level, name in enumerate(names[:-1], 1):
        inner = branch.get(name, {})
        if type(inner) is not dict:
            leaf, path = ".".join(names[:level]), ".".join(names)
            raise StateConflictError(
                f"{path!r} cannot be set: {leaf!r} holds a value ({kind(inner)}) and is no "
                f"branch; delete {leaf!r} first"
            )
        branch[name] = dict(inner)
        branch = branch[name]
    if value is MISSING:
        del branch[names[-1]]
    else:
        branch[names[-1]] = value
    return root


def merged(old: Any, new: Any) -> Any:
    """Return `new`, made of the very objects of `old` wherever the two are equal.

    So what is the same object in two trees has not changed from one to the other.
    """
    if type(old) is dict and type(new) is dict:
        parts = {name: merged(below(old, name), value) for name, value in new.items()}
        same = len(parts) == len(old) and all(below(old, n) is v for n, v in parts.items())
        return old if same else parts
    if type(old) is not type(new) or really_differs(_unequal, old, new):
        return new
    return old


def _unequal(old: Any, new: Any) -> bool:
    return old is not new and bool(old != new)


def taken(value: Any, names: Path) -> Any:
    """Copy a value from outside that is to stand at a path."""
    if type(value) in _ATOMS:
        return value
    if not isinstance(value, Mapping):
        return _copied(value, names)
    if len(names) >= MAX_LEVELS:
        raise StateError(f"{'.'.join(names)[:40]!r}... is deeper than {MAX_LEVELS} levels")
    branch = {}
    for name, inner in value.items():
        if not isinstance(name, str) or "." in name or not name.strip():
            raise StateError(f"{'.'.join(names)!r}: {name!r} cannot be a name below it")
        branch[name] = taken(inner, (*names, name))
    return branch


def given(value: Any) -> Any:
    """Copy a value of the tree for somebody outside."""
    if type(value) in _ATOMS:
        return value
    if type(value) is dict:
        return {name: given(inner) for name, inner in value.items()}
    from copy import deepcopy

    return deepcopy(value)


def _copied(value: Any, names: Path) -> Any:
    from copy import deepcopy  # only where values are no plain ones; no lock is held here

    try:
        return deepcopy(value)
    except Exception as error:
        raise StateError(
            f"{'.'.join(names)!r}: a value ({kind(value)}) that cannot be copied: {error}"
        ) from error


def kind(value: Any) -> str:
    """Name the type of a value for an error."""
    return type(value).__name__
