"""Sealing: a slip in the name of a quantity is refused, all else goes on as before."""

from __future__ import annotations

import pytest

from edgekernel.core.errors import UnknownTargetError
from edgekernel.sim.sealing import seal


class Scale:
    """A chip with a quantity, a property and something of its own."""

    zero_kg = 0.0

    def __init__(self) -> None:
        self.load_kg = 1.5
        self.limit = 10

    @property
    def load_g(self) -> float:
        """The same in grams."""
        return self.load_kg * 1000

    @load_g.setter
    def load_g(self, value: float) -> None:
        self.load_kg = value / 1000

    def read(self) -> float:
        """Remember what was read last."""
        self._last = self.load_kg - self.zero_kg
        return self._last


class Slotted:
    """A chip that refuses by itself."""

    __slots__ = ("load_kg",)


def test_what_there_is_can_be_set() -> None:
    """Quantities, properties, what the class has, and what the chip keeps to itself."""
    scale = Scale()
    seal(scale, "scale")
    scale.load_g, scale.zero_kg = 2500, 0.5
    assert (scale.load_kg, scale.read()) == (2.5, 2.0)
    assert isinstance(scale, Scale)
    assert type(scale).__name__ == "Scale"


def test_what_there_is_not_is_refused() -> None:
    """The error names the device, and the nearest quantity."""
    scale = Scale()
    seal(scale, "scale")
    with pytest.raises(UnknownTargetError, match="of scale has no quantity 'load'; did you mean"):
        scale.load = 3  # type: ignore[attr-defined]
    assert not hasattr(scale, "load")
    Scale().load = 3  # type: ignore[attr-defined]  # others are as they were


def test_slots() -> None:
    """A chip with slots stays as it is."""
    slotted = Slotted()
    seal(slotted, "scale")
    with pytest.raises(AttributeError):
        slotted.load = 3  # type: ignore[attr-defined]
