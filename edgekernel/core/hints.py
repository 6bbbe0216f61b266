"""Annotations of functions and classes, each evaluated once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, get_type_hints

_KEPT = "_edgekernel_hints"


def hints_of(thing: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the annotations of a function, method or class, evaluated, with what `Annotated` adds.

    They are kept with it, as long as it lives: each evaluation of a text makes types anew, which
    `typing` keeps too. Raises what `typing.get_type_hints` raises.
    """
    plain = getattr(thing, "__func__", thing)
    written = getattr(plain, "__annotations__", None)
    kept = getattr(plain, "__dict__", {}).get(_KEPT)
    if kept is not None and kept[0] is written:  # `functools.wraps` copies it to another function
        return kept[1]  # type: ignore[no-any-return]
    found = get_type_hints(plain, include_extras=True)
    with suppress(AttributeError, TypeError):  # nothing can be kept with one that is built in
        setattr(plain, _KEPT, (written, found))
    return found
