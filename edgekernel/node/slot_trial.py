"""An update on trial: the slot that it is in is kept once its node has been healthy for a while.

RAUC writes an update into the slot that does not run, and U-Boot starts it a few times; until it is
confirmed, U-Boot goes back to the other slot when these tries are used up. What is on trial is
derived: a slot that RAUC has installed into since this file of the data partition was written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgekernel.core.clock import Clock

HEALTHY_FOR_S = 300.0
LIMIT_S = 1200.0
LOOK_S = 5.0
"""How often it is looked whether the node is healthy."""
SHOWN = ("LoadState", "ActiveState", "InvocationID", "StatusText")
"""What systemd is asked for of the node's unit (org.freedesktop.systemd1(5))."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The slot that runs; `installed` names the update in it, and is "" for that of the card."""

    name: str
    installed: str = ""
    primary: bool = True
    """Whether it is the one that is to be started: if not, the other has used up its tries."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the slot stays, and why."""

    good: bool
    reason: str


def booted_slot(status: str) -> Slot:
    """Return the slot that runs, from `rauc status --detailed --output-format=json`.

    Raises ValueError if it is not told there.
    """
    told: dict[str, Any] = json.loads(status)
    booted = told.get("booted")
    for named in told.get("slots", ()):
        for name, slot in named.items():
            if slot.get("bootname") == booted or name == booted:
                installed = slot.get("slot_status", {}).get("installed", {})
                update = f"{installed.get('count', '')} {installed.get('timestamp', '')}".strip()
                return Slot(str(slot.get("bootname")), update, told.get("boot_primary") == name)
    raise ValueError(f"RAUC does not say which slot runs; it says booted: {booted!r}")


def shown(text: str) -> dict[str, str]:
    """Return the properties in what `systemctl show` has written."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, _, value in pairs if name}


def trouble(unit: Mapping[str, str]) -> str:
    """Say what keeps the node from being healthy, from properties of its unit; "" if nothing."""
    status = unit.get("StatusText", "")
    if unit.get("LoadState") != "loaded":
        return "the node has no unit: its configuration was not taken"
    if unit.get("ActiveState") != "active":
        return f"the agent is {unit.get('ActiveState') or 'in no state that systemd knows'}"
    return "" if status == "running" else f"the agent says: {status or 'nothing'}"


def watch(
    show: Callable[[], Mapping[str, str]],
    clock: Clock,
    healthy_for_s: float = HEALTHY_FOR_S,
    limit_s: float = LIMIT_S,
) -> Verdict:
    """Look at the node until it was healthy for `healthy_for_s` without a restart.

    After `limit_s` without that the verdict is bad. `show` returns the properties `SHOWN`.
    """
    end = clock.monotonic() + limit_s
    run, since, restarts = "", clock.monotonic(), -1
    while True:
        unit = show()
        now, wrong = clock.monotonic(), trouble(unit)
        if unit.get("InvocationID", "") != run:
            run, since, restarts = unit.get("InvocationID", ""), now, restarts + 1
        if wrong:
            since = now
        elif now - since >= healthy_for_s:
            return Verdict(True, f"the node was healthy for {now - since:.0f} s")
        if now >= end:
            return Verdict(False, f"{wrong or 'not healthy for long enough'}, {_times(restarts)}")
        clock.sleep(min(LOOK_S, healthy_for_s))


def _times(restarts: int) -> str:
    return f"started anew {max(restarts, 0)} times in the meantime"
