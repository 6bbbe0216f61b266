"""Sealing: a simulated chip takes no quantity that it does not have."""

from __future__ import annotations

from inspect import getattr_static
from typing import Any

from edgekernel.core.errors import UnknownTargetError, nearest
from edgekernel.sim.places import quantities


def seal(chip: Any, device: str) -> None:
    """Let a chip refuse public attributes that it has not had until now: who sets
    `temperatur_c` would wait for a temperature that never changes.

    The chip is of a class of its own from then on, with the name of the one before. One whose
    attributes are in slots refuses them itself and stays as it is.
    """
    cls: Any = type(chip)
    if not hasattr(chip, "__dict__"):
        return

    plain = cls.__setattr__ is object.__setattr__
    held = {n for n in vars(chip) if plain and not hasattr(getattr_static(cls, n, None), "__set__")}

    def set_known(self: Any, name: str, value: Any) -> None:
        if name in held:  # as worlds and registers do all the time
            vars(self)[name] = value
            return
        if name not in vars(self) and not name.startswith("_") and not hasattr(cls, name):
            raise UnknownTargetError(
                f"the chip of {device} has no quantity {name!r}{nearest(name, quantities(self))}"
            )
        cls.__setattr__(self, name, value)

    space = {"__module__": cls.__module__, "__slots__": (), "__setattr__": set_known}
    chip.__class__ = type(cls.__name__, (cls,), space)
