"""A line as everything outside of the node drives it: hands, worlds, chips; and its faults."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from edgekernel.core.errors import LifecycleError
from edgekernel.hal.gpio import LineOutside

Later = Callable[[float, Callable[[], object]], None]
"""Makes a call so many seconds from now."""

_BOUNCES = 5
"""How often a contact opens again; J. Ganssle, "A Guide to Debouncing" (2004), saw 0 to 8."""


class OutsideLine(LineOutside):
    """The outside of one line. Faults come between those who drive it and the line itself."""

    def __init__(self, name: str, line: LineOutside, later: Later) -> None:
        """Put itself before a line; `later` makes a call so many seconds from now."""
        self.name = name
        self._line = line
        self._later = later
        self._wanted: bool | None = None
        self._held: bool | None = None
        self._bounce: tuple[float, Random] | None = None
        self._losing: Random | None = None
        self._losing_share = 0.0
        self._driven = 0

    @property
    def level(self) -> bool:
        """The electrical level; True is high."""
        return self._line.level

    @property
    def duty(self) -> float | None:
        """The share of each period that is high while it makes pulses; else None."""
        duty: float | None = getattr(self._line, "duty", None)
        return duty

    @property
    def loses_edges(self) -> bool:
        """Whether it is a line whose changes can stay unseen: one of the board."""
        return getattr(self._line, "levels", None) is not None

    def drive(self, level: bool) -> None:
        """Put a level on an input, as the outside world; it stays, also against a pull."""
        self._wanted = level
        if self._held is None:
            self._bring(level)

    def release(self) -> None:
        """Stop driving: the pull resistor decides, and without one the level stays."""
        self._wanted = None
        if self._held is None:
            self._driven += 1
            self._let_go()

    def watch(self, changed: Callable[[bool], None]) -> None:
        """Call `changed` with each new level of the line, whoever drives it."""
        self._line.watch(changed)

    def hold(self, level: bool | None) -> None:
        """Keep the line at a level whoever drives it; None lets go, and what they want counts.

        Raises LifecycleError if the node drives it.
        """
        self._held = level
        wanted = self._wanted if level is None else level
        self._driven += 1
        if wanted is None:
            self._let_go()
        else:
            self._line.drive(wanted)

    def bounce(self, seconds: float, random: Random | None) -> None:
        """Let the contact bounce for so long at each change; without `random` no more."""
        self._bounce = None if random is None else (seconds, random)

    def lose_edges(self, share: float, random: Random | None) -> None:
        """Let nobody see a share of the changes; without `random` all are seen again."""
        self._losing, self._losing_share = random, share

    def _bring(self, level: bool) -> None:
        self._driven += 1
        changes = level != self._line.level
        if changes and self._losing is not None and self._losing.random() < self._losing_share:
            line: Any = self._line
            line.drive(level, lose_edge=True)
            return
        self._line.drive(level)
        if changes and self._bounce is not None:
            self._begin_to_bounce(level, *self._bounce)

    def _begin_to_bounce(self, level: bool, seconds: float, random: Random) -> None:
        """Let go and touch again, at times of chance; touching is the last."""
        driven = self._driven
        times = sorted(random.uniform(0, seconds) for _ in range(2 * _BOUNCES))
        for index, at_s in enumerate(times):
            self._later(at_s, partial(self._touch, (index % 2 == 1) is level, driven))

    def _touch(self, level: bool, driven: int) -> None:
        if driven == self._driven:  # nobody has driven it since
            self._line.drive(level)

    def _let_go(self) -> None:
        release = getattr(self._line, "release", None)
        if release is None:
            raise LifecycleError(f"{self.name}: this line cannot be let go; drive a level instead")
        release()
