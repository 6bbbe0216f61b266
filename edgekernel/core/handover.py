"""Handover: the state that the old version of a part gives to the new one."""

from __future__ import annotations

from enum import Enum
from typing import Any

from edgekernel.core.markers import hook
from edgekernel.core.messages import Message
from edgekernel.core.record import dataclass
from edgekernel.core.signals import Signal, batch
from edgekernel.core.unit import Unit, call_hook

_PLAIN = (type(None), bool, int, float, complex, str, bytes, Enum, Message)


@dataclass(frozen=True, slots=True)
class Known:
    """What a part knew when it was asked: its snapshot, and the plain data in its attributes."""

    snapshot: Any
    plain: dict[str, Any]


def ask(old: Unit) -> Known:
    """Return what the old version knows; raises what its `@lifecycle.snapshot` raises.

    A device's attributes are what its driver was made with, so they are not passed on.
    """
    plain = {} if old.is_device else _plain_data(old)
    snapshot = hook(old.part, "snapshot")
    return Known(plain if snapshot is None else call_hook(snapshot, old.context), plain)


def tell(new: Unit, known: Known) -> None:
    """Give it to the new version: to its `@lifecycle.restore`, or to attributes that it has too."""
    restore = hook(new.part, "restore")
    if restore is not None:
        call_hook(restore, new.context, known.snapshot)
        return
    with batch():
        for name, value in known.plain.items():
            present = new.part.__dict__.get(name)
            if isinstance(present, Signal):
                present.set(value)
            elif name in new.part.__dict__ and _is_plain(present):
                setattr(new.part, name, value)


def _plain_data(unit: Unit) -> dict[str, Any]:
    """Return copies of the attributes that hold plain data, signals by their value."""
    from copy import deepcopy  # loads re and more: only for an update

    meta = unit.meta
    not_state = {
        "name", "ctx", *(each.name for each in meta.requirements),
        *(each.name for each in meta.properties), *meta.computeds,
    }  # fmt: skip
    found = {}
    for name, value in list(unit.part.__dict__.items()):
        held = value.peek() if isinstance(value, Signal) else value
        if name not in not_state and _is_plain(held):
            found[name] = deepcopy(held)
    return found


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(key) and _is_plain(each) for key, each in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_plain, value))
    return isinstance(value, _PLAIN)
