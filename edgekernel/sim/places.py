"""Where a world touches a node: what its outputs do, what its chips measure, its contacts."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

from edgekernel.core.errors import InvalidValueError, UnknownTargetError, nearest
from edgekernel.sim.outside import OutsideLine


class Actuator:
    """What an output does to its surroundings: a share from -1 to 1, 0 is off.

    A switched line is 0 or 1, pulses are the share of the time that they are on, a motor is
    negative while it turns backward. `gain` and `offset` make a share of another quantity, such
    as a register of a drive.
    """

    def __init__(
        self, name: str, look: Callable[[], float], gain: float = 1.0, offset: float = 0.0
    ) -> None:
        self.name = name
        self.stuck: float | None = None
        """Where it stays whatever the output does, as with a welded contact or a jammed valve."""
        self.powered = True
        """Whether what it drives has power; nothing happens without."""
        self._look = look
        self._gain, self._offset = gain, offset

    @property
    def share(self) -> float:
        """The share."""
        if not self.powered:
            return 0.0
        if self.stuck is not None:
            return self.stuck
        return min(1.0, max(-1.0, self._look() * self._gain + self._offset))

    @property
    def on(self) -> bool:
        """Whether it is not off."""
        return self.share != 0


class Sensor:
    """A quantity that a simulated chip measures, or a far end sends.

    What is shown is the quantity times `gain` plus `offset`: the volts of a level sensor at a
    converter, the digits in a register. `text` is how a far end that sends text writes it, such
    as "T={:.1f}".
    """

    def __init__(
        self,
        name: str,
        put: Callable[[Any], object],
        kind: type,
        gain: float = 1.0,
        offset: float = 0.0,
        text: str = "{:.6g}",
    ) -> None:
        self.name = name
        self._put = put
        self._kind = kind
        self._gain, self._offset = gain, offset
        self._text = text

    def show(self, value: float) -> None:
        """Let the chip measure a value from now on. Raises InvalidValueError if it is no number
        that there can be: a chip could not hold it."""
        shown = value * self._gain + self._offset
        if not isfinite(shown):
            raise InvalidValueError(f"{self.name}: {shown} is nothing that can be measured")
        if self._kind is str:
            self._put(self._text.format(shown))
        elif self._kind is bool:
            self._put(shown >= 0.5)
        else:
            self._put(round(shown) if self._kind is int else shown)


class Switch:
    """A contact on an input line: an end switch, a float switch, a track of an encoder."""

    def __init__(self, name: str, line: OutsideLine, active_level: bool) -> None:
        self.name = name
        self._line = line
        self._active = active_level
        self.closed: bool | None = None
        """What it was set to last; None before that."""

    @property
    def line(self) -> str:
        """The name of the line it is on."""
        return self._line.name

    def set(self, closed: bool) -> None:
        """Close or open it: the line is at its active level while it is closed."""
        if closed is not self.closed:
            self.closed = closed
            self._line.drive(closed is self._active)


def quantities(part: Any) -> dict[str, Any]:
    """Return what can be read and set of a chip, a far end or a world, with the values."""
    return {name: value for name, value in vars(part).items() if not name.startswith("_")}


def reader(owner: str, part: Any, path: str) -> Callable[[], float]:
    """Return what reads a quantity of a chip: "voltage_v", "coil.3" of a table, "share.0" of a
    method that takes a number. Raises UnknownTargetError."""
    name, _, index = path.partition(".")
    found = getattr(part, name, None)
    if not name.startswith("_") and index.isdecimal():
        number = int(index)
        if isinstance(found, dict):
            return lambda: float(getattr(part, name).get(number, 0))
        if callable(found):
            return lambda: float(getattr(part, name)(number))
    if name in quantities(part) and isinstance(found, int | float) and not index:
        return lambda: float(getattr(part, name))
    raise _no_quantity(owner, part, path)


def writer(owner: str, part: Any, path: str) -> tuple[Callable[[Any], object], type]:
    """Return what sets a quantity of a chip, by name as in `reader`, and the type it takes."""
    name, _, index = path.partition(".")
    found = quantities(part).get(name)
    if isinstance(found, dict) and index.isdecimal():
        number = int(index)
        return lambda value: getattr(part, name).update({number: value}), int
    if isinstance(found, bool | int | float | str) and not index:
        return lambda value: setattr(part, name, value), _type_of(found)
    raise _no_quantity(owner, part, path)


def check_text(text: str) -> str:
    """Return how a value is written; raise InvalidValueError if no number can be written so."""
    try:
        text.format(1.0)
    except (ValueError, LookupError, AttributeError) as error:
        raise InvalidValueError(
            f'"{text}": no number can be written so ({error}); an example is "T={{:.1f}}"'
        ) from None
    return text


def _type_of(value: Any) -> type:
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind
    raise TypeError(value)


def _no_quantity(owner: str, part: Any, path: str) -> UnknownTargetError:
    known = [
        f"{name}.0" if isinstance(value, dict) else name
        for name, value in quantities(part).items()
        if isinstance(value, bool | int | float | str | dict)
    ]
    if not path:
        return UnknownTargetError(f"{owner}: name a quantity of it{nearest(path, known)}")
    return UnknownTargetError(f"{owner} has no quantity {path!r}{nearest(path, known)}")
