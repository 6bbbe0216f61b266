"""Staleness: what was not measured for too long is BAD, even if whoever measures it hangs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edgekernel.core import message
from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.context import Context
from edgekernel.core.polls import is_interval
from edgekernel.core.reading import Reading
from edgekernel.core.signals import batch

if TYPE_CHECKING:
    from edgekernel.core.device import Device

_Group = tuple[Sequence[str], float, int | None]
"""Names of readings, after how many seconds they are stale, and since when that counts."""


class Freshness:
    """Watches the readings of one device, from its attachment to its end.

    A reading with a limit of its own is BAD that long after its own latest measurement. The others
    of a polled device are BAD when neither a poll has succeeded nor a reading was measured for
    three intervals, five seconds more than one at least.

    It wakes at the earliest moment at which something could be stale. Of what is not measured,
    or stale already, that is a whole limit from now: so a limit is kept exactly, at the cost of
    about one look in its time, and nothing is noted per measurement.
    """

    def __init__(self, device: Device, ctx: Context) -> None:
        self._device = device
        self._ctx = ctx
        self._readings: dict[str, Reading[Any]] = {**device.readings}
        self._timer = ctx.runtime.timers.timer(self._look)
        self._ended = False

    def look(self) -> None:
        """Look at once, in the thread of the timers: a limit or an interval has changed."""
        self._timer.set(self._ctx.clock.monotonic_ns())

    def end(self) -> None:
        """Look no more."""
        self._ended = True
        self._timer.cancel()

    def _look(self) -> None:
        now = self._ctx.clock.monotonic_ns()
        dues = [self._look_at(group, now) for group in self._groups()]
        if dues and not self._ended:
            self._timer.set(min(dues))
        if self._ended:  # perhaps just now
            self._timer.cancel()

    def _groups(self) -> Iterator[_Group]:
        others = []
        for name, reading in self._readings.items():
            if reading.stale_s is None:
                others.append(name)
            else:
                yield [name], reading.stale_s, reading.measured_at_ns
        polls = self._device.poll_record
        if others and self._device.polled:
            every_s = self._device.every if is_interval(self._device.every) else 1.0
            heard = [each.measured_at_ns for each in self._readings.values()]
            heard.append(polls.answered_ns if polls is not None else None)
            latest = max((at for at in heard if at is not None), default=None)
            yield others, max(3 * every_s, every_s + 5), latest

    def _look_at(self, group: _Group, now_ns: int) -> int:
        """Let a group expire if it is time; return when that could be next."""
        names, limit_s, since_ns = group
        limit_ns = int(limit_s * NANOSECONDS)
        if since_ns is not None and since_ns + limit_ns >= now_ns:
            return since_ns + limit_ns + 1
        reason = f"stale: not measured for {limit_s:g} s"
        until_ns = now_ns - limit_ns - 1
        with batch():
            stale = [each for each in names if self._readings[each].expire(until_ns, reason)]
        if stale:
            self._ctx.runtime.post(message.DeviceStale(self._device.id, tuple(stale), limit_s))
        return now_ns + limit_ns + 1
