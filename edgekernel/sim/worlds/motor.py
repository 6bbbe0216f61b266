"""A motor with a load and an encoder on its shaft."""

from __future__ import annotations

from functools import partial
from math import expm1, floor, inf, log
from typing import Annotated

from annotated_types import Ge, Gt

from edgekernel.core.errors import InvalidValueError
from edgekernel.sim.bench import Bench
from edgekernel.sim.places import Actuator, Sensor, Switch

_FASTEST_HZ = 20_000.0
"""Changes of an encoder in a second, far above what Linux can follow."""
_TRACKS = ((False, False), (True, False), (True, True), (False, True))
"""Tracks A and B, closed or not, in the four quarters of a cycle forward."""


class Motor:
    """A motor whose speed w follows its drive: J dw/dt = k (w_drive - w), with J/k a time constant.

    w_drive is `full_speed_rps` (turns a second) times the share of `drive`; `inertia_s` is the time
    constant, in which it gets 63 % of the way. `a` and `b` are the tracks of an incremental encoder
    with `counts_per_turn` changes of the two together; turning forward, A is ahead of B. `speed`
    measures the speed in turns a second, `position` the turns.

    Speed and position are exact while the drive stays as it is, however long a step is. The
    encoder's changes come at their exact times, later by one step. Raises InvalidValueError for
    more than 20,000 changes a second.
    """

    step_s = 0.05

    def __init__(
        self,
        bench: Bench | None = None,
        *,
        drive: Actuator,
        a: Switch | None = None,
        b: Switch | None = None,
        speed: Sensor | None = None,
        position: Sensor | None = None,
        full_speed_rps: Annotated[float, Gt(0)] = 5.0,
        inertia_s: Annotated[float, Gt(0)] = 0.2,
        counts_per_turn: Annotated[int, Ge(4)] = 48,
    ) -> None:
        self.speed_rps = 0.0
        self.turns = 0.0
        self._drive, self._full_rps, self._tau_s = drive, full_speed_rps, inertia_s
        self._speed, self._position = speed, position
        self._tracks = [(0, a), (1, b)]
        self._counts_per_turn = counts_per_turn
        self._count = 0
        self._bench = bench
        self._check(bench)
        self._turn_to(0)

    def step(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._count_through(seconds)
        self.speed_rps, self.turns = self._after(seconds)
        if self._speed is not None:
            self._speed.show(self.speed_rps)
        if self._position is not None:
            self._position.show(self.turns)

    def _after(self, seconds: float) -> tuple[float, float]:
        """Return speed and turns so many seconds from now, with the drive as it is."""
        tends_to = self._drive.share * self._full_rps
        lost = expm1(-seconds / self._tau_s)  # of the difference; precise for a short time too
        too_fast = self.speed_rps - tends_to
        gained = tends_to * seconds - too_fast * self._tau_s * lost
        return self.speed_rps + too_fast * lost, self.turns + gained

    def _count_through(self, seconds: float) -> None:
        """Let the encoder follow, one way and then the other if the motor turns round meanwhile."""
        if self._bench is None or not any(track for _, track in self._tracks):
            return
        turn_s = self._turning_point_s()
        ends = [turn_s, seconds] if 0 < turn_s < seconds else [seconds]
        from_s = 0.0
        for end_s in ends:
            target = floor(self._after(end_s)[1] * self._counts_per_turn)
            way = 1 if target > self._count else -1
            while self._count != target:
                # Forward the new count begins at its lower end, backward at its upper one.
                edge = self._count + 1 if way > 0 else self._count
                from_s = self._when(edge / self._counts_per_turn, from_s, end_s)
                self._count += way
                self._bench.later(from_s, partial(self._turn_to, self._count))
            from_s = end_s

    def _turning_point_s(self) -> float:
        """Return in how many seconds the speed is 0, with the drive as it is; else infinity."""
        tends_to = self._drive.share * self._full_rps
        if tends_to * self.speed_rps >= 0:
            return inf
        return self._tau_s * log((tends_to - self.speed_rps) / tends_to)

    def _when(self, turns: float, from_s: float, to_s: float) -> float:
        """Return when a position is passed in a time in which the motor turns one way."""
        rises = self._after(to_s)[1] >= self._after(from_s)[1]
        while to_s - from_s > 1e-6:
            middle_s = (from_s + to_s) / 2
            if (self._after(middle_s)[1] >= turns) is rises:
                to_s = middle_s
            else:
                from_s = middle_s
        return to_s

    def _turn_to(self, count: int) -> None:
        for index, track in self._tracks:
            if track is not None:
                track.set(_TRACKS[count % 4][index])

    def _check(self, bench: Bench | None) -> None:
        if bench is None and any(track for _, track in self._tracks):
            raise InvalidValueError("an encoder's changes need a bench to pass time")
        if self._full_rps * self._counts_per_turn > _FASTEST_HZ:
            raise InvalidValueError(
                f"full_speed_rps {self._full_rps:g} times counts_per_turn {self._counts_per_turn} "
                f"is above {_FASTEST_HZ:g} changes a second; lower one of them"
            )
