"""Ownership: a part belongs to one runtime at a time, from its attach to its detach."""

from __future__ import annotations

import threading

from edgekernel.core.context import Context
from edgekernel.core.errors import LifecycleError

_OWNER = "_edgekernel_owner"
"""The attribute in which a part keeps the context of who has it."""

_lock = threading.Lock()  # around look and take: two runtimes may boot at the same time


def refuse_owned(part: object, name: str) -> None:
    """Raise LifecycleError if a runtime has a part."""
    owner = _owner(part)
    if owner is not None:
        runtime = owner.runtime.name
        known = "" if owner.source == name else f" as {owner.source}"
        raise LifecycleError(
            f"{name}: the runtime {runtime!r} has this very part{known}. A part belongs to one "
            "runtime at a time: remove it there, or shut that runtime down, first; or make "
            "another instance"
        )


def take(part: object, context: Context) -> None:
    """Let a part belong to the runtime of a context; raises LifecycleError if one has it."""
    with _lock:
        if _owner(part) is not context:
            refuse_owned(part, context.source)
        object.__setattr__(part, _OWNER, context)  # so in a frozen dataclass too


def give_back(part: object, context: Context) -> bool:
    """Let a part belong to nobody; False if it was not this context that had it."""
    with _lock:
        owned = _owner(part) is context
        if owned:
            object.__delattr__(part, _OWNER)
    return owned


def bereave(part: object) -> None:
    """Let a part belong to nobody whose runtime has died without a shutdown, as in simulation."""
    owner = _owner(part)
    if owner is not None:
        give_back(part, owner)


def _owner(part: object) -> Context | None:
    try:
        owner: Context = object.__getattribute__(part, _OWNER)
    except AttributeError:
        return None
    return owner
