"""What is to be said about the load of the buses: errors, warnings, figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from edgekernel.node.plan import Plan

if TYPE_CHECKING:  # measuring needs the `sim` extra, telling does not
    from edgekernel.node.load import BusLoad

_HOUR_S = 3600.0
_BUSY = 0.5
"""Utilisation of a bus above which polls often wait for one another."""


def load_problems(plan: Plan, loads: Iterable[BusLoad]) -> tuple[list[str], list[str]]:
    """Return the errors and the warnings about buses that have too much to do."""
    errors, warnings = [], []
    for load in loads:
        if load.utilisation > 1:
            errors.append(_too_much(plan, load, "cannot keep up"))
        elif load.utilisation > _BUSY:
            warnings.append(_too_much(plan, load, "is busy for more than half of the time"))
        warnings += [
            f"{plan.path.name}: devices.{id}: its load of {load.bus} is not known: {why}"
            for id, why in load.unknown.items()
        ]
    return errors, warnings


def _too_much(plan: Plan, load: BusLoad, what: str) -> str:
    worst = max(load.costs, key=lambda cost: cost.utilisation)
    each = ", ".join(
        f"{cost.device} {percent(cost.utilisation)} ({duration(cost.total_s)} every "
        f"{duration(cost.every_s)})"
        for cost in sorted(load.costs, key=lambda cost: -cost.utilisation)
    )
    wire_s = sum(cost.wire_s / cost.every_s for cost in load.costs)
    faster = ""
    if load.speed_hz is not None and wire_s > load.utilisation / 2:
        faster = (
            f", or raise its clock ({load.speed_hz // 1000} kHz) and say so in buses.{load.bus}"
        )
    return (
        f"{plan.path.name}: devices.{worst.device}.every: {load.bus} {what}: its devices need "
        f"{load.utilisation:.2g} s of each second: {each}; poll less often{faster}"
    )


def percent(share: float) -> str:
    """Return a share as people read it: "0.4 %", "37 %"."""
    return f"{share * 100:.2g} %" if share < 0.1 else f"{share * 100:.0f} %"


def duration(seconds: float) -> str:
    """Return a time as people read it: "0.3 ms", "12 ms", "2.5 s", "24 h"."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.4g} s" if seconds < 2 * _HOUR_S else f"{seconds / _HOUR_S:.3g} h"


def loads_as_json(loads: Iterable[BusLoad]) -> list[dict[str, Any]]:
    """Return the loads ready for JSON; times in seconds, utilisation as a share."""
    return [
        {
            "bus": load.bus,
            "speed_hz": load.speed_hz,
            "utilisation": round(load.utilisation, 6),
            "devices": [
                {
                    "device": cost.device,
                    "every_s": cost.every_s,
                    "wire_s": round(cost.wire_s, 9),
                    "waiting_s": round(cost.waiting_s, 9),
                    "utilisation": round(cost.utilisation, 6),
                    "shortest_s": _rounded(load.shortest_s(cost)),
                }
                for cost in load.costs
            ],
            "unknown": dict(load.unknown),
        }
        for load in loads
    ]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
