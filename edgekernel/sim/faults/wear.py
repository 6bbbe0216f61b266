"""What comes between a simulated chip and the quantity that it measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from edgekernel.sim.faults.fault import End

Alter = Callable[[Any], Any]
"""Makes what the chip measures of what the quantity is."""


class Wear:
    """Alters quantities of a chip as the chip itself sees them. The worlds go on to set the true
    ones, which stay in the chip's own attributes.

    While it alters something the chip is of a class of its own, in which those are properties.
    """

    def __init__(self, part: Any) -> None:
        self._part = part
        self._class = type(part)
        self._alters: dict[str, list[Alter]] = {}

    def add(self, quantity: str, alter: Alter) -> End:
        """Alter a quantity, after those that do already; return what ends it."""
        alters = self._alters.setdefault(quantity, [])
        alters.append(alter)
        self._dress()

        def end() -> None:
            alters.remove(alter)
            if not alters:
                self._alters.pop(quantity, None)
            self._dress()

        return end

    def _dress(self) -> None:
        if not self._alters:
            self._part.__class__ = self._class
            return
        space: dict[str, Any] = {name: _property(name, self._alters[name]) for name in self._alters}
        name, module = self._class.__name__, self._class.__module__
        self._part.__class__ = type(name, (self._class,), {"__module__": module, **space})


def wear_of(part: Any) -> Wear:
    """Return what alters the quantities of a chip; the same for the same chip."""
    if part not in _wears:
        _wears[part] = Wear(part)
    return _wears[part]


_wears: WeakKeyDictionary[Any, Wear] = WeakKeyDictionary()


def _property(name: str, alters: list[Alter]) -> property:
    def get(part: Any) -> Any:
        value = vars(part)[name]
        for alter in alters:
            value = alter(value)
        return value

    def put(part: Any, value: Any) -> None:
        vars(part)[name] = value

    return property(get, put)
