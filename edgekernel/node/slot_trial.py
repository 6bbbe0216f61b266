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
from edgekernel.node.update_table import HEALTHY_FOR_S, LIMIT_S, MAX_STARTS
from edgekernel.node.witness import STALE_S, Witness

LOOK_S = 5.0
"""How often it is looked whether the node is healthy."""
SHOWN = ("LoadState", "ActiveState", "InvocationID", "NRestarts")
"""What systemd is asked for of the node's unit (org.freedesktop.systemd1(5))."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The slot that runs; `installed` names the update in it, and is "" for that of the card."""

    name: str
    installed: str = ""
    primary: bool = True
    """Whether it is the one that is to be started: if not, the other has used up its tries."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a trial asks for: every criterion met for `healthy_for_s` on end within `limit_s`, by an
    agent that was started at most `max_starts` times since the computer was."""

    healthy_for_s: float = HEALTHY_FOR_S
    limit_s: float = LIMIT_S
    max_starts: int = MAX_STARTS


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the slot stays, and why; `unmet` are the criteria that were not met at the end."""

    good: bool
    reason: str
    unmet: tuple[str, ...] = ()


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


def starts(unit: Mapping[str, str]) -> int:
    """Return how often the agent was started since the computer was."""
    restarts = unit.get("NRestarts", "")
    return 1 + (int(restarts) if restarts.isdecimal() else 0)


def unmet(
    unit: Mapping[str, str], said: Witness | None, now_s: float, max_starts: int = MAX_STARTS
) -> tuple[str, ...]:
    """Return the criteria that a node does not meet: each with its name (agent, starts, services,
    broker, sensors) and what is wrong.

    `unit` has properties of the agent's unit, and is empty if systemd does not tell them; `said` is
    what the agent has said last, `now_s` the time on the clock of that.
    """
    if not unit:
        return ("agent: systemd does not say how it is",)
    if unit.get("LoadState") != "loaded":
        return ("agent: the node has no unit: its configuration was not taken",)
    found = []
    if (count := starts(unit)) > max_starts:
        found.append(f"starts: the agent was started {count} times, {max_starts} are allowed")
    if unit.get("ActiveState") != "active":
        state = unit.get("ActiveState") or "in no state that systemd knows"
        return (*found, f"agent: it is {state}")
    if said is None or said.run != unit.get("InvocationID"):
        return (*found, "agent: it has not said how it is")
    if not now_s - said.at_s <= STALE_S:
        return (*found, f"agent: it has not said how it is for more than {STALE_S:g} s")
    return (*found, *said.unmet)


def watch(
    show: Callable[[], Mapping[str, str]],
    hear: Callable[[], Witness | None],
    clock: Clock,
    terms: Terms,
    told: Callable[[float, tuple[str, ...]], object] = lambda passed, unmet: None,
) -> Verdict:
    """Look at the node until it has met every criterion for long enough without a restart, of the
    agent or of a service in it.

    After the limit without that the verdict is bad, and at once when the agent was started too
    often. `show` returns the properties `SHOWN`, `hear` what the agent has said last; `told` is
    given at each look how much of the time has passed, from 0 to 1, and what is not met.
    """
    end = clock.monotonic() + terms.limit_s
    run, since = ("", 0), clock.monotonic()
    while True:
        unit, said = show(), hear()
        now = clock.monotonic()
        wrong = unmet(unit, said, now, terms.max_starts)
        this = (unit.get("InvocationID", ""), 0 if said is None else said.restarts)
        if wrong or this != run:
            run, since = this, now
        told(min(1.0, (now - since) / terms.healthy_for_s), wrong)
        if not wrong and now - since >= terms.healthy_for_s:
            return Verdict(True, f"the node was healthy for {now - since:.0f} s")
        if starts(unit) > terms.max_starts:
            return Verdict(False, "; ".join(wrong), wrong)
        if now >= end:
            why = "; ".join(wrong) or "not healthy for long enough"
            return Verdict(False, f"{why}, after {terms.limit_s:g} s; {_times(unit)}", wrong)
        clock.sleep(min(LOOK_S, terms.healthy_for_s))


def _times(unit: Mapping[str, str]) -> str:
    return f"the agent was started {starts(unit)} times"
