"""What an agent says of itself while an update is on trial; root reads it before it confirms.

It has a file of its own, beside the status that systemd shows: that is a text for people, in which
words from outside stand too, and no such word may meet a criterion, or keep one from being met.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgekernel.node.agent_file import read_agent_file, write_agent_file

WITNESS_FILE = Path("/run/edgekernel/witness.json")
"""In the agent's own folder in memory."""
STALE_S = 30.0
"""Of an agent that has said nothing for longer nobody knows how it is."""
MAX_NAMED = 5
"""What is not well and named, of each criterion; of more the number is told."""
_CRITERIA = {"part": "services", "link": "broker", "device": "sensors", "reading": "sensors"}
"""The criterion that is not met, by the kind of a complaint (`edgekernel.node.trial`)."""
_MAX_UNMET = 20
_MAX_TEXT = 2000


@dataclass(frozen=True, slots=True)
class Witness:
    """What an agent says of itself at one time."""

    run: str
    """Which start of the agent it is: systemd's InvocationID."""
    at_s: float
    """When, on the computer's monotonic clock."""
    restarts: int = 0
    """How often services have been started anew since the agent was."""
    unmet: tuple[str, ...] = ()
    """The criteria that it does not meet, each beginning with its name: services, broker, sensors;
    and what is wrong."""


def bear_witness(said: Witness, path: Path) -> None:
    """Write what the agent says of itself. Raises OSError."""
    write_agent_file(asdict(said), path)


def hear_witness(path: Path = WITNESS_FILE) -> Witness:
    """Return what the agent has said last. Raises OSError if it is not there, and ValueError for
    what no agent says."""
    found: Any = read_agent_file(path)
    match found:
        case {"run": str(run), "at_s": float(at_s), "restarts": int(restarts), "unmet": list(told)}:
            unmet = tuple(_one_line(str(each)) for each in told[:_MAX_UNMET])
            return Witness(run, at_s, restarts, unmet)
    raise ValueError(f"{path} says what no agent says")


def unmet_by(complaints: Mapping[str, str]) -> tuple[str, ...]:
    """Return the criteria that a node with such complaints does not meet."""
    found: dict[str, list[str]] = {}
    for what, why in complaints.items():
        kind, _, name = what.partition(" ")
        found.setdefault(_CRITERIA[kind], []).append(f"{name} ({why})")
    if "broker" in found:
        found["broker"] = ["it is not reached"]
    return tuple(f"{criterion}: {_brief(each)}" for criterion, each in sorted(found.items()))


def counts(what: str, before: Collection[str]) -> bool:
    """Say whether a complaint is held against an update, given those of the time before it.

    Not if it was there before, and not if the device was missing or offline then: after a start
    the same trouble of a device may have another name. The link always counts.
    """
    kind, _, name = what.partition(" ")
    if kind == "link":
        return True
    owner = name.partition(".")[0] if kind == "reading" else name
    return not {what, f"part {owner}", f"device {owner}"} & set(before)


def _brief(named: list[str]) -> str:
    more = f" and {len(named) - MAX_NAMED} more" if len(named) > MAX_NAMED else ""
    return _one_line(", ".join(named[:MAX_NAMED]) + more)


def _one_line(text: str) -> str:
    """Return a text that does nothing to a console but stand in its line."""
    line = " ".join(text.split())
    return "".join(each if each.isprintable() else "?" for each in line)[:_MAX_TEXT]
