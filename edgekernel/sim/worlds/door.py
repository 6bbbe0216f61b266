"""A door or gate that is driven both ways, with end switches; it can be jammed."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le

from edgekernel.core.errors import InvalidValueError
from edgekernel.sim.places import Actuator, Sensor, Switch


class Door:
    """A door that travels from closed (0) to open (1) in `travel_s` at full drive.

    `drive` is a motor, positive towards open; or `open` and `close` are two outputs, both at once
    being none. `opened` and `closed` are end switches, closed within a thousandth of the ends;
    `position` measures the share of the way. Set `jammed` and it stays where it is.

    Each step is exact while the outputs stay as they are, however long it is. Raises
    InvalidValueError unless it is driven one way or the other.
    """

    step_s = 0.1

    def __init__(
        self,
        *,
        drive: Actuator | None = None,
        open: Actuator | None = None,
        close: Actuator | None = None,
        opened: Switch | None = None,
        closed: Switch | None = None,
        position: Sensor | None = None,
        travel_s: Annotated[float, Gt(0)] = 10.0,
        start: Annotated[float, Ge(0), Le(1)] = 0.0,
    ) -> None:
        if (drive is None) == (open is None and close is None):
            raise InvalidValueError("a door is driven by `drive`, or by `open` and `close`")
        self.position = float(start)
        self.jammed = False
        self._drive, self._open, self._close = drive, open, close
        self._opened, self._closed, self._measured = opened, closed, position
        self._travel_s = travel_s
        self._show()

    def step(self, seconds: float) -> None:
        """Let `seconds` pass."""
        if not self.jammed:
            moved = self.position + self._share() * seconds / self._travel_s
            self.position = min(1.0, max(0.0, moved))
        self._show()

    def _share(self) -> float:
        if self._drive is not None:
            return self._drive.share
        opening, closing = (
            0.0 if each is None else abs(each.share) for each in (self._open, self._close)
        )
        return opening - closing

    def _show(self) -> None:
        if self._opened is not None:
            self._opened.set(self.position >= 0.999)
        if self._closed is not None:
            self._closed.set(self.position <= 0.001)
        if self._measured is not None:
            self._measured.show(self.position)
