"""Pulses of a meter: what flows through it becomes closures of its contact, in time."""

from __future__ import annotations

from functools import partial

from edgekernel.core.errors import InvalidValueError
from edgekernel.sim.bench import Bench
from edgekernel.sim.outside import Later
from edgekernel.sim.places import Switch

_LONGEST_S = 0.1


class Pulses:
    """Closes a contact once for each portion, spread evenly over the step after the one in which
    it has passed: so no pulse is lost or bunched, and all are late by one step."""

    def __init__(self, switch: Switch, per_unit: float, later: Later) -> None:
        """Give `per_unit` pulses for a unit of what is measured."""
        self._switch = switch
        self._per_unit = per_unit
        self._later = later
        self._owed = 0.0
        switch.set(False)

    @classmethod
    def of(cls, bench: Bench | None, switch: Switch | None, per_unit: float) -> Pulses | None:
        """Return the pulses of a meter, or None if there is none."""
        if switch is None:
            return None
        if bench is None:
            raise InvalidValueError(f"{switch.name}: a meter's pulses need a bench to pass time")
        return cls(switch, per_unit, bench.later)

    def add(self, amount: float, seconds: float) -> None:
        """Let an amount pass in a step of so many seconds."""
        self._owed += amount * self._per_unit
        count = int(self._owed + 1e-9)
        self._owed -= count
        between_s = seconds / max(1, count)
        for index in range(count):
            at_s = index * between_s
            self._later(at_s, partial(self._switch.set, True))
            self._later(at_s + min(_LONGEST_S, between_s / 2), partial(self._switch.set, False))
